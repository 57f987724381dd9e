// SPDX-License-Identifier: GPL-2.0

//! Who has to give the token of a physical function, and when.
//!
//! The user of a physical function can reset its virtual functions, and often see what they do.
//! So the users of both have to agree on that, by giving the same token. Whoever opens a physical
//! function that has no open virtual functions chooses the token. Until somebody does, it is a
//! random one, which nobody can give.

use crate::{
    abstractions::{
        pci::Function,
        uuid, //
    },
    token::Token, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};

/// Why a device may not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// There is no token to compare with, as another driver has the physical function.
    ForeignPhysical,
    /// SR-IOV has nothing to do with the device.
    Unrelated,
    /// The token is missing.
    Missing,
    /// It is not the one that the others have given.
    Wrong,
}

impl Refusal {
    fn message(self) -> &'static str {
        match self {
            Self::ForeignPhysical => "VF token incorrectly provided, PF not bound to vfio-pci",
            Self::Unrelated => "VF token incorrectly provided, not a PF or VF",
            Self::Missing => "VF token required to access device",
            Self::Wrong => "Incorrect VF token provided for device",
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::ForeignPhysical | Refusal::Unrelated => EINVAL,
            Refusal::Missing | Refusal::Wrong => EACCES,
        }
    }
}

/// The token, and how many virtual functions are open that it was given for.
struct Agreement {
    token: Token,
    users: usize,
}

impl Agreement {
    /// Checks a token that has to be given. How long that takes does not depend on how much of it
    /// is right.
    fn check(&self, token: Option<&Token>) -> Result<(), Refusal> {
        let given = token.ok_or(Refusal::Missing)?;
        let difference = self
            .token
            .iter()
            .zip(given)
            .fold(0, |difference, (ours, theirs)| difference | (ours ^ theirs));

        if difference == 0 {
            Ok(())
        } else {
            Err(Refusal::Wrong)
        }
    }

    /// Checks the token that the physical function is opened with, or takes it over.
    fn open_physical(&mut self, token: Option<&Token>) -> Result<(), Refusal> {
        if self.users > 0 {
            return self.check(token);
        }
        if let Some(token) = token {
            self.token = *token;
        }

        Ok(())
    }
}

/// The token of a physical function. It exists as long as the function is bound, and as long as
/// one of its virtual functions is.
#[pin_data]
pub(crate) struct SharedToken {
    // A leaf.
    #[pin]
    agreement: Mutex<Agreement>,
}

impl SharedToken {
    fn new() -> Result<Arc<Self>> {
        let agreement = Agreement {
            token: uuid::random(),
            users: 0,
        };

        Arc::pin_init(
            pin_init!(Self {
                agreement <- new_mutex!(agreement, "vfio_pci_vf_token"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Replaces the token.
    ///
    /// # Errors
    ///
    /// EBUSY while virtual functions are open, whose users have agreed to the present one.
    pub(crate) fn set(&self, token: &Token) -> Result {
        let mut agreement = self.agreement.lock();
        if agreement.users > 0 {
            return Err(EBUSY);
        }
        agreement.token = *token;

        Ok(())
    }
}

/// A virtual function is open.
#[must_use = "the token may be changed when no virtual function is open"]
pub(crate) struct VirtualUser(Arc<SharedToken>);

impl VirtualUser {
    fn new(token: Arc<SharedToken>) -> Self {
        let mut agreement = token.agreement.lock();
        agreement.users = agreement.users.saturating_add(1);
        drop(agreement);

        Self(token)
    }
}

impl Drop for VirtualUser {
    fn drop(&mut self) {
        let mut agreement = self.0.agreement.lock();
        agreement.users = agreement.users.saturating_sub(1);
    }
}

/// What a function is to SR-IOV. Does not change while it is bound.
pub(crate) enum Role {
    /// A physical function.
    Physical(Arc<SharedToken>),
    /// A virtual function, and the token of its physical function.
    Virtual(Arc<SharedToken>),
    /// A virtual function whose physical function has another driver.
    VirtualOfOther,
    /// Neither.
    Neither,
}

impl Role {
    /// Finds out what `function` is, which is being bound. `physical` is its physical one, whose
    /// token `token_of` finds, if we have enabled its virtual functions.
    ///
    /// # Errors
    ///
    /// ENOMEM.
    pub(crate) fn of(
        function: &Function,
        physical: Option<&Function>,
        token_of: impl FnOnce(&Function) -> Option<Arc<SharedToken>>,
    ) -> Result<Self> {
        if function.is_physical() {
            return Ok(Self::Physical(SharedToken::new()?));
        }

        Ok(match physical {
            // As long as this virtual function is bound, its physical one cannot be unbound.
            Some(physical) => token_of(physical).map_or(Self::VirtualOfOther, Self::Virtual),
            None => Self::Neither,
        })
    }

    /// The token of a physical function.
    pub(crate) fn own_token(&self) -> Option<&Arc<SharedToken>> {
        match self {
            Self::Physical(token) => Some(token),
            _ => None,
        }
    }

    /// The function is opened. Counts it if it is a virtual one.
    pub(crate) fn count_user(&self) -> Option<VirtualUser> {
        match self {
            Self::Virtual(token) => Some(VirtualUser::new(token.clone())),
            _ => None,
        }
    }

    /// Checks the token that came with a request to open the function.
    fn judge(&self, token: Option<&Token>) -> Result<(), Refusal> {
        match (self, token) {
            (Self::Physical(shared), _) => shared.agreement.lock().open_physical(token),
            (Self::Virtual(shared), _) => shared.agreement.lock().check(token),
            (_, None) => Ok(()),
            (Self::VirtualOfOther, Some(_)) => Err(Refusal::ForeignPhysical),
            (Self::Neither, Some(_)) => Err(Refusal::Unrelated),
        }
    }

    /// Checks the token that came with a request to open `function`. `report` gets a reason to
    /// refuse it.
    ///
    /// # Errors
    ///
    /// EACCES if it is missing or wrong, EINVAL if there must not be one.
    pub(crate) fn check(&self, token: Option<&Token>, report: impl FnOnce(&str)) -> Result {
        self.judge(token).map_err(|refusal| {
            report(refusal.message());
            refusal.into()
        })
    }
}

#[cfg(CONFIG_VFIO_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(vfio_pci_vf_token)]
mod tests {
    use super::*;

    const A: Token = [0xa5; 16];
    const B: Token = [0x5a; 16];

    #[test]
    fn a_physical_function_chooses_until_a_virtual_one_is_open() -> Result {
        let shared = SharedToken::new()?;
        let physical = Role::Physical(shared.clone());
        let virtual_one = Role::Virtual(shared.clone());

        assert_eq!(physical.judge(None), Ok(()));
        assert_eq!(virtual_one.judge(Some(&A)), Err(Refusal::Wrong));
        assert_eq!(physical.judge(Some(&A)), Ok(()));
        assert_eq!(virtual_one.judge(Some(&A)), Ok(()));
        assert_eq!(virtual_one.judge(Some(&B)), Err(Refusal::Wrong));
        assert_eq!(virtual_one.judge(None), Err(Refusal::Missing));

        let user = virtual_one.count_user();
        assert_eq!(physical.judge(None), Err(Refusal::Missing));
        assert_eq!(physical.judge(Some(&B)), Err(Refusal::Wrong));
        assert_eq!(physical.judge(Some(&A)), Ok(()));
        assert!(shared.set(&B).is_err());
        drop(user);
        assert!(shared.set(&B).is_ok());
        assert_eq!(virtual_one.judge(Some(&A)), Err(Refusal::Wrong));
        assert_eq!(virtual_one.judge(Some(&B)), Ok(()));

        Ok(())
    }

    #[test]
    fn others_have_no_token() {
        assert_eq!(Role::Neither.judge(None), Ok(()));
        assert_eq!(Role::Neither.judge(Some(&A)), Err(Refusal::Unrelated));
        assert_eq!(Role::VirtualOfOther.judge(None), Ok(()));
        assert_eq!(
            Role::VirtualOfOther.judge(Some(&A)),
            Err(Refusal::ForeignPhysical)
        );
    }
}
