// SPDX-License-Identifier: GPL-2.0

//! The lines that the user reads.

use std::io::{
    stdout,
    Write, //
};

use anyhow::{
    Context,
    Result, //
};

/// Prints the steps and counts them.
#[derive(Default)]
pub struct Report {
    steps: usize,
}

impl Report {
    /// Runs one step, and prints its number, its name and the line that it returns.
    ///
    /// # Errors
    ///
    /// Passes on the error of the step, with its number and name in front, and fails when there is
    /// nobody left to read the line.
    pub fn step<T>(&mut self, name: &str, run: impl FnOnce() -> Result<(T, String)>) -> Result<T> {
        let number = self.steps.saturating_add(1);
        let (value, line) = run().with_context(|| format!("step {number}, {name}"))?;

        writeln!(stdout(), "{number:2}  {name:<16}  {line}").context("standard output")?;
        self.steps = number;
        Ok(value)
    }

    /// Runs a step that leaves nothing behind but its line.
    ///
    /// # Errors
    ///
    /// As [`Report::step`].
    pub fn show(&mut self, name: &str, run: impl FnOnce() -> Result<String>) -> Result<()> {
        self.step(name, || Ok(((), run()?)))
    }

    /// Prints a line that belongs to the step before.
    ///
    /// # Errors
    ///
    /// Fails when there is nobody left to read it.
    pub fn detail(&self, line: &str) -> Result<()> {
        writeln!(stdout(), "{:22}{line}", "").context("standard output")
    }

    /// How many steps were done.
    pub fn steps(&self) -> usize {
        self.steps
    }
}

/// Formats a number of bytes in the largest binary unit that divides it.
pub fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];

    units
        .iter()
        .find(|(shift, _)| bytes != 0 && bytes.trailing_zeros() >= *shift)
        .map_or_else(
            || format!("{bytes} B"),
            |(shift, unit)| format!("{} {unit}", bytes >> shift),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(256), "256 B");
        assert_eq!(size(4096), "4 KiB");
        assert_eq!(size(1 << 20), "1 MiB");
        assert_eq!(size(3 << 30), "3 GiB");
        assert_eq!(size((1 << 20) + 4096), "1028 KiB");
    }

    #[test]
    fn failure_names_the_step() {
        let mut report = Report::default();
        report.show("first", || Ok("fine".to_string())).unwrap();
        let error = report
            .show("second", || anyhow::bail!("broken"))
            .unwrap_err();
        assert_eq!(format!("{error:#}"), "step 2, second: broken");
        assert_eq!(report.steps(), 1);
    }
}
