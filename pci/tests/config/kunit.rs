// SPDX-License-Identifier: GPL-2.0

//! Runs the test cases in the kernel.

use super::cases::Outcome;
use kernel::prelude::*;

#[kunit_tests(vfio_pci_config)]
mod tests {
    use super::super::cases;
    use super::*;

    /// Logs what was wrong, which KUnit by itself would not.
    fn report(outcome: Outcome) -> Outcome {
        outcome.inspect_err(|what| pr_err!("wrong: {what}\n"))
    }

    #[test]
    fn permissions() -> Outcome {
        report(cases::permissions())
    }

    #[test]
    fn chunks() -> Outcome {
        report(cases::chunks())
    }

    #[test]
    fn memory_effects() -> Outcome {
        report(cases::memory_effects())
    }

    #[test]
    fn virtual_function() -> Outcome {
        report(cases::header::virtual_function())
    }

    #[test]
    fn command() -> Outcome {
        report(cases::header::command())
    }

    #[test]
    fn missed_reset() -> Outcome {
        report(cases::header::missed_reset())
    }

    #[test]
    fn bar_sizing() -> Outcome {
        report(cases::header::bar_sizing())
    }

    #[test]
    fn header_fields() -> Outcome {
        report(cases::header::header_fields())
    }

    #[test]
    fn power_management() -> Outcome {
        report(cases::capabilities::power_management())
    }

    #[test]
    fn vital_product_data() -> Outcome {
        report(cases::capabilities::vital_product_data())
    }

    #[test]
    fn msi() -> Outcome {
        report(cases::capabilities::msi())
    }

    #[test]
    fn express() -> Outcome {
        report(cases::capabilities::express())
    }

    #[test]
    fn advanced_features() -> Outcome {
        report(cases::capabilities::advanced_features())
    }

    #[test]
    fn plain_capabilities() -> Outcome {
        report(cases::capabilities::plain_capabilities())
    }

    #[test]
    fn write_one_to_clear() -> Outcome {
        report(cases::capabilities::write_one_to_clear())
    }

    #[test]
    fn emulated_dword() -> Outcome {
        report(cases::capabilities::emulated_dword())
    }

    #[test]
    fn hidden() -> Outcome {
        report(cases::lists::hidden())
    }

    #[test]
    fn hidden_lengths() -> Outcome {
        report(cases::lists::hidden_lengths())
    }

    #[test]
    fn hidden_extended_lengths() -> Outcome {
        report(cases::lists::hidden_extended_lengths())
    }

    #[test]
    fn hostile_hidden_lengths() -> Outcome {
        report(cases::lists::hostile_hidden_lengths())
    }

    #[test]
    fn hidden_overlap() -> Outcome {
        report(cases::lists::hidden_overlap())
    }

    #[test]
    fn hostile_lists() -> Outcome {
        report(cases::lists::hostile_lists())
    }

    #[test]
    fn extended_list() -> Outcome {
        report(cases::lists::extended_list())
    }

    #[test]
    fn hostile_extended_list() -> Outcome {
        report(cases::lists::hostile_extended_list())
    }

    #[test]
    fn lengths() -> Outcome {
        report(cases::lists::lengths())
    }

    #[test]
    fn extended_lengths() -> Outcome {
        report(cases::lists::extended_lengths())
    }

    #[test]
    fn overlap() -> Outcome {
        report(cases::lists::overlap())
    }

    #[test]
    fn cut_short() -> Outcome {
        report(cases::lists::cut_short())
    }

    #[test]
    fn reserved_link_bits() -> Outcome {
        report(cases::lists::reserved_link_bits())
    }

    #[test]
    fn odd_sizes() -> Outcome {
        report(cases::lists::odd_sizes())
    }
}
