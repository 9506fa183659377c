//! That everything holds.

use domain::proof::Proof;
use ledger::Verification;

use super::World;

impl World {
    pub(crate) async fn assert_proven(&self) {
        let proof = self.proof().await;
        assert!(proof.holds(), "{:#?}", proof.faults);
    }

    /// [`Self::assert_proven`], but for accounts that owe: calls of theirs were charged without a hold.
    pub(crate) async fn assert_proven_but_for_debts(&self, debts: usize) {
        let faults = self.proof().await.faults;
        assert!(faults.iter().all(|fault| fault.claim.starts_with("no grant is below its floor")), "{faults:#?}");
        assert_eq!(faults.len(), debts);
    }

    /// Of everything, two accounts at a time.
    pub(crate) async fn proof(&self) -> Proof {
        self.ledger.verify(&Verification { at_once: 2, ..Verification::default() }, |_| {}).await.unwrap()
    }
}
