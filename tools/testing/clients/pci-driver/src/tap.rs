// SPDX-License-Identifier: GPL-2.0

//! What the harness reads: TAP.

use std::process::ExitCode;

use anyhow::Result;

/// The tests so far.
#[derive(Default)]
pub struct Tap {
    number: u32,
    failed: u32,
}

impl Tap {
    /// Reports one test, and hands on what it gave.
    pub fn test<T>(&mut self, name: &str, result: Result<T>) -> Option<T> {
        self.number += 1;
        match result {
            Ok(value) => {
                println!("ok {} {name}", self.number);
                Some(value)
            }
            Err(error) => {
                self.failed += 1;
                println!("not ok {} {name}\n# {error:#}", self.number);
                None
            }
        }
    }

    /// Prints the plan; gives the status to end with.
    pub fn end(self) -> ExitCode {
        println!("1..{}", self.number);
        ExitCode::from(u8::from(self.failed > 0))
    }
}
