//! How calls come to those who post them.

use domain::id::CallId;
use ledger::{Address, Ledger, Login, secrets::SecretKey};
use uuid::Uuid;

use super::*;
use crate::books::spool::tests::settled;

/// A settled call of an account.
pub(super) fn queued_of(account: AccountId, call: CallId) -> Queued {
    let mut call = settled(call);
    Arc::make_mut(&mut call).admitted.account_id = account;
    Queued::of_memory(call, None).0
}

#[tokio::test]
async fn what_is_handed_over_together_comes_to_its_groups_together_and_in_order() {
    let address = Address::parse("postgres://nobody@127.0.0.1:1/nothing").expect("an address");
    // It connects when it is first used, and here it never is.
    let ledger = Ledger::connect(&Login::derived(&address, &SecretKey::from_bytes([1; 32])), 1);
    let (poster, mut groups) = poster(ledger.meter(), CancellationToken::new());
    let queued = |number: u8| {
        queued_of(AccountId::from_uuid(Uuid::from_u128(u128::from(number % 3))), CallId::from_uuid(Uuid::from_u128(number.into())))
    };
    assert!(poster.take((0..9).map(queued).collect()).await);
    for (group, calls) in groups.iter_mut().zip([&[0, 3, 6][..], &[1, 4, 7], &[2, 5, 8], &[]]) {
        let batch = group.queue.try_recv().unwrap_or_default();
        assert_eq!(batch.iter().map(|queued| queued.call.call_id.uuid().as_u128()).collect::<Vec<_>>(), calls);
        assert!(group.queue.try_recv().is_err());
    }
    drop(groups);
    assert!(!poster.take(vec![queued(1)]).await, "nobody posts any more");
}
