// SPDX-License-Identifier: GPL-2.0

//! What the user asks for: two PCI addresses, as arguments or from the environment.

use anyhow::{
    bail,
    Context,
    Result, //
};

use crate::pci::Address;

/// The text of `--help`.
pub const USAGE: &str = "\
usage: vfio-demo [EDU-ADDRESS [OTHER-ADDRESS]]

  EDU-ADDRESS    PCI address of a QEMU edu device, else $EDU
  OTHER-ADDRESS  PCI address of an NVMe or igb controller, else $NVME, else $IGB

An address is DDDD:BB:DD.F or BB:DD.F. The devices are bound to vfio-pci for the run, and given
back to the driver that had them when it ends. Do not name a device that the system needs.
";

/// The two devices to drive.
#[derive(Debug, PartialEq, Eq)]
pub struct Devices {
    /// The `edu` device.
    pub edu: Address,
    /// The NVMe or `igb` controller.
    pub other: Address,
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Drive these devices.
    Run(Devices),
    /// Print the usage.
    Help,
}

/// Reads the command line; `environment` looks up a variable.
///
/// # Errors
///
/// Fails on an option that is not known, on too many arguments, on a missing or a malformed
/// address, and when both addresses are the same.
pub fn parse(
    arguments: impl Iterator<Item = String>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Command> {
    let mut addresses = Vec::new();

    for argument in arguments {
        match argument.as_str() {
            "-h" | "--help" => return Ok(Command::Help),
            option if option.starts_with('-') => {
                bail!("unknown option {option}; try --help")
            }
            _ => addresses.push(argument),
        }
    }

    let mut addresses = addresses.into_iter();
    let edu = addresses
        .next()
        .or_else(|| environment("EDU"))
        .context("no edu device given: name its PCI address, or set EDU; try --help")?;
    let other = addresses
        .next()
        .or_else(|| environment("NVME"))
        .or_else(|| environment("IGB"))
        .context("no second device given: name its PCI address, or set NVME or IGB; try --help")?;
    if let Some(extra) = addresses.next() {
        bail!("unexpected argument {extra}; try --help");
    }

    let devices = Devices {
        edu: edu.parse()?,
        other: other.parse()?,
    };
    if devices.edu == devices.other {
        bail!("{} is given twice; two devices are needed", devices.edu);
    }

    Ok(Command::Run(devices))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Command> {
        parse(
            arguments.iter().map(|argument| argument.to_string()),
            |name| {
                environment
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| value.to_string())
            },
        )
    }

    fn devices(edu: &str, other: &str) -> Command {
        Command::Run(Devices {
            edu: edu.parse().unwrap(),
            other: other.parse().unwrap(),
        })
    }

    #[test]
    fn arguments_win_over_the_environment() {
        let command = run(&["00:04.0", "00:05.0"], &[("EDU", "00:06.0")]).unwrap();
        assert_eq!(command, devices("0000:00:04.0", "0000:00:05.0"));
    }

    #[test]
    fn environment_fills_in() {
        let command = run(&[], &[("EDU", "00:04.0"), ("IGB", "00:09.0")]).unwrap();
        assert_eq!(command, devices("00:04.0", "00:09.0"));
    }

    #[test]
    fn help_wins() {
        assert_eq!(run(&["00:04.0", "--help"], &[]).unwrap(), Command::Help);
    }

    #[test]
    fn refuses() {
        for arguments in [
            &[][..],
            &["00:04.0"],
            &["00:04.0", "00:04.0"],
            &["00:04.0", "0000:00:04.0"],
            &["00:04.0", "00:05.0", "00:06.0"],
            &["--verbose"],
            &["edu", "00:05.0"],
        ] {
            assert!(run(arguments, &[]).is_err(), "{arguments:?}");
        }
    }
}
