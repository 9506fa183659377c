//! Receipts, invoices and credit notes.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use domain::{
    billing::{Adjustment, PostingNumber},
    document::{Document, DocumentKind},
    plan::PlanTerms,
};
use futures_util::future::join_all;
use ledger::{DocumentLooks, Error, NewBuyer, NewSeller};
use sqlx::PgPool;

use crate::{
    payments,
    world::{Customer, World, amount, monthly},
};

/// Who sells, at 19 per cent.
pub(crate) fn seller(world: &World) -> NewSeller<'static> {
    NewSeller {
        name: "Gateway Ltd",
        address: "1 High Street, London",
        tax_id: "GB 123",
        tax_label: "VAT",
        tax_rate: "19".parse().unwrap(),
        prefix: "",
        actor: "root@example.com",
        now: world.now,
    }
}

async fn sell(world: &World) {
    world.ledger.system().operator().set_seller(seller(world)).await.unwrap();
}

/// An account's documents, oldest first.
async fn documents(world: &World, of: Customer) -> Vec<Document> {
    let mut found = world.ledger.reader(of.user).await.unwrap().documents(None, 1_000).await.unwrap().documents;
    found.reverse();
    found
}

fn numbers(documents: &[Document]) -> Vec<&str> {
    documents.iter().map(|document| document.number.as_str()).collect()
}

/// A statement names whoever sold as its month ended.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn who_sold_at_an_instant_is_who_sells_now_where_nobody_had_said_so(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let reader = world.ledger.reader(ada.user).await.unwrap();
    assert_eq!(reader.seller_at(world.now).await.unwrap(), None);
    let system = world.ledger.system();
    let operator = system.operator();
    let later = world.now + TimeDelta::days(2);
    let first = operator.set_seller(seller(&world)).await.unwrap();
    let second = operator.set_seller(NewSeller { name: "Gateway GmbH", now: later, ..seller(&world) }).await.unwrap();
    assert_eq!(reader.seller_at(world.now + TimeDelta::days(1)).await.unwrap(), Some(first));
    assert_eq!(reader.seller_at(later).await.unwrap().as_ref(), Some(&second));
    assert_eq!(reader.seller_at(world.now - TimeDelta::days(1)).await.unwrap(), Some(second));
}

/// Both the number of who issues and the number of accounts are more than fit into one round.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn whoever_issues_at_once_gives_every_payment_one_number_without_gaps(pool: PgPool) {
    let mut world = World::new(pool).await;
    let mut customers = Vec::new();
    for name in 0..25 {
        customers.push(world.customer(&format!("customer{name}"), "1").await);
    }
    sell(&world).await;
    let system = world.ledger.system();
    for round in 0..2 {
        let money: Vec<_> = customers.iter().map(|of| (of, world.money("25", if round == 0 { "first" } else { "second" }))).collect();
        let paying = join_all(money.into_iter().map(async |(of, money)| system.account(of.account).top_up(money).await.map(|_| 0)));
        let issuing = join_all((0..50).map(|_| system.issue_documents()));
        let (paid, issued) = tokio::join!(paying, issuing);
        assert!(paid.iter().all(Result::is_ok));
        let issued: u64 = issued.into_iter().map(Result::unwrap).sum();
        let rest = system.issue_documents().await.unwrap();
        assert_eq!(issued + rest, if round == 0 { 50 } else { 25 });
        assert_eq!(system.issue_documents().await.unwrap(), 0, "once");
    }
    let mut serials = BTreeSet::new();
    for customer in &customers {
        let of_customer = documents(&world, *customer).await;
        assert_eq!(of_customer.len(), 3);
        serials.extend(of_customer.into_iter().map(|document| document.number));
    }
    let year = &world.now.date_naive().to_string()[..4];
    assert_eq!(serials, (1..=75).map(|serial| format!("R-{year}-{serial:06}")).collect());
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn money_in_fees_and_money_back_are_on_paper_and_nothing_else_is(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let system = world.ledger.system();
    let (owner, operator) = (system.account(ada.account), system.operator());
    let payment = payments::begun(&world, ada, "25").await;
    payments::pay(&world, &payment).await;
    operator.credit(ada.account, world.money("3", "a gift")).await.unwrap();
    world.promo(ada, "1").await;
    let plan = world.sell("Basic", PlanTerms { fee: amount("0.5"), ..monthly() }).await;
    owner.buy(world.purchase(&plan)).await.unwrap();
    payments::dispute(&world, &payment, "disputed", (true, false)).await;
    assert_eq!(system.issue_documents().await.unwrap(), 0, "nobody has said who sells");
    sell(&world).await;
    assert_eq!(system.issue_documents().await.unwrap(), 3, "nothing is forgotten");
    // From now on there is another tax; what goes back of a payment contains what the payment contained.
    operator.set_seller(NewSeller { tax_rate: "7".parse().unwrap(), prefix: "ACME-", ..seller(&world) }).await.unwrap();
    payments::dispute(&world, &payment, "won", (false, true)).await;
    operator.adjust(ada.account, Adjustment::Refund, world.money("1.07", "by hand")).await.unwrap();
    assert_eq!(system.issue_documents().await.unwrap(), 2);

    let found = documents(&world, ada).await;
    let year = &world.now.date_naive().to_string()[..4];
    let expected = [
        ("R", 1, "25", "3.99", None),
        ("I", 1, "0.5", "0", None),
        ("C", 1, "25", "3.99", Some(1)),
        ("ACME-R", 2, "25", "3.99", Some(1)),
        ("ACME-C", 2, "1.07", "0.07", None),
    ];
    let expected = expected.map(|(kind, serial, gross, tax, about)| {
        let about = about.map(|serial: i32| format!("R-{year}-{serial:06}"));
        (format!("{kind}-{year}-{serial:06}"), amount(gross), amount(tax), about)
    });
    let of = |document: &Document| (document.number.clone(), document.sum.gross, document.sum.tax, document.about.clone());
    assert_eq!(found.iter().map(of).collect::<Vec<_>>(), expected);
    assert_eq!(found[1].kind, DocumentKind::Invoice);
    assert!(found[1].purpose.contains("Basic"), "{:?}", found[1].purpose);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_bank_transfer_has_a_receipt_and_what_goes_back_of_it_a_credit_note(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    sell(&world).await;
    let system = world.ledger.system();
    let operator = system.operator();
    operator.credit(ada.account, world.money("3", "a gift")).await.unwrap();
    operator.credit_transfer(ada.account, "RF18 5390", world.money("119", "invoice 12")).await.unwrap();
    system.issue_documents().await.unwrap();
    // What goes back contains the tax that was paid, whatever it is by now.
    let later = world.now + TimeDelta::hours(1);
    operator.set_seller(NewSeller { tax_rate: "7".parse().unwrap(), tax_label: "GST", now: later, ..seller(&world) }).await.unwrap();
    let payment = operator.payments(true, 1).await.unwrap().remove(0).id;
    operator.return_transfer(payments::back(payment, "RF18 back", "11.90")).await.unwrap();
    system.issue_documents().await.unwrap();
    let found = documents(&world, ada).await;
    let of = |document: &Document| (document.kind, document.sum.gross, document.sum.tax, document.about.clone());
    let receipt = found[0].number.clone();
    assert_eq!(
        found.iter().map(of).collect::<Vec<_>>(),
        [
            (DocumentKind::Receipt, amount("119"), amount("19"), None),
            (DocumentKind::CreditNote, amount("11.9"), amount("1.9"), Some(receipt)),
        ]
    );
    assert_eq!(found.iter().map(|document| document.tax_label.as_str()).collect::<Vec<_>>(), ["VAT"; 2], "as it was called then");
    assert!(found[0].purpose.starts_with("Bank transfer RF18 5390: "), "{:?}", found[0].purpose);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_payment_contains_the_tax_that_was_said_when_it_was_paid(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    sell(&world).await;
    let system = world.ledger.system();
    system.account(ada.account).top_up(world.money("10", "first")).await.unwrap();
    // Somebody says so before its receipt is issued.
    let later = world.now + TimeDelta::hours(1);
    system.operator().set_seller(NewSeller { tax_rate: "7".parse().unwrap(), now: later, ..seller(&world) }).await.unwrap();
    system.issue_documents().await.unwrap();
    let found = documents(&world, ada).await;
    assert_eq!((found[0].sum.tax, found[0].tax_rate.bps()), (amount("1.6"), 1_900));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_document_stays_as_it_was_issued(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    sell(&world).await;
    let system = world.ledger.system();
    let owner = system.account(ada.account);
    system.issue_documents().await.unwrap();
    let before = documents(&world, ada).await;
    assert_eq!(
        (before[0].buyer.name.as_str(), before[0].buyer.email.as_str(), before[0].seller.name.as_str()),
        ("ada", "ada@example.com", "Gateway Ltd")
    );

    let new =
        NewBuyer {
            name: "Ada & Söhne", email: "books@ada.example", address: "Unter den Linden 1, Berlin", tax_id: "DE 1", now: world.now
        };
    owner.set_buyer(new).await.unwrap();
    owner.set_buyer(new).await.unwrap();
    system.operator().set_seller(NewSeller { name: "Another", tax_rate: "7".parse().unwrap(), ..seller(&world) }).await.unwrap();
    owner.top_up(world.money("10", "second")).await.unwrap();
    system.issue_documents().await.unwrap();
    let after = documents(&world, ada).await;
    assert_eq!(after[0], before[0], "what was issued");
    assert_eq!((after[1].buyer.name.as_str(), after[1].seller.name.as_str(), after[1].sum.tax), ("Ada & Söhne", "Another", amount("0.65")));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn details_are_one_line_each_and_no_others_document_is_found(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "10").await, world.customer("bob", "10").await);
    let owner = world.ledger.owner(ada.user).await.unwrap();
    let good = NewBuyer { name: "Ada", email: "a@b", address: "", tax_id: "", now: world.now };
    for (field, wrong) in [
        ("name", NewBuyer { name: "A\u{202e}da", ..good }),
        ("address", NewBuyer { address: "1 High Street\nLondon", ..good }),
        ("tax id", NewBuyer { tax_id: "x\tx", ..good }),
        ("email", NewBuyer { email: "nobody", ..good }),
        ("email", NewBuyer { email: "a b@c", ..good }),
    ] {
        let refused = owner.set_buyer(wrong).await;
        assert!(matches!(&refused, Err(Error::Invalid { field: at, .. }) if *at == field), "{field}: {refused:?}");
    }
    assert_eq!(owner.billing_details().await.unwrap().name, "", "nothing was written");
    sell(&world).await;
    world.ledger.system().issue_documents().await.unwrap();
    let (mine, theirs) = (documents(&world, ada).await, documents(&world, bob).await);
    assert_eq!(owner.document(&mine[0].number).await.unwrap(), mine[0]);
    assert!(matches!(owner.document(&theirs[0].number).await, Err(Error::NotFound)));
    let found = owner.document_numbers(&[PostingNumber::from_count(1), PostingNumber::from_count(9)]).await.unwrap();
    assert_eq!(found, [(mine[0].posting, mine[0].number.clone())]);
}

/// A clock that goes back opens no year that has ended.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_year_counts_its_own_documents_and_is_not_gone_back_to(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    sell(&world).await;
    let (first, second) = ("2023-12-31T23:59:59.9Z", "2024-01-01T00:00:00Z");
    for (key, at) in [("one", first), ("two", first), ("three", second), ("four", first)] {
        world.ledger.system().account(ada.account).top_up(world.money("1", key)).await.unwrap();
        assert_eq!(world.ledger.dated(at.parse().unwrap()).system().issue_documents().await.unwrap(), 1);
    }
    assert_eq!(numbers(&documents(&world, ada).await), ["R-2023-000001", "R-2023-000002", "R-2024-000001", "R-2024-000002"]);
    world.assert_proven().await;
}

/// A posting that was committed long after its date is missed by who looked meanwhile, and by nobody who begins.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn who_looks_again_sees_what_moved_and_who_looks_for_the_first_time_sees_everything(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let system = world.ledger.system();
    let owner = system.account(ada.account);
    let pool = world.pool.clone();
    let age = async || sqlx::query("update heads set posted_at = posted_at - interval '1 hour'").execute(&pool).await.map(drop);
    let mut looks = DocumentLooks::default();
    assert_eq!(system.issue_new_documents(&mut looks).await.unwrap(), 0, "nobody has said who sells");
    age().await.unwrap();
    sell(&world).await;
    assert_eq!(system.issue_new_documents(&mut looks).await.unwrap(), 1, "what was posted until then was not looked at");
    owner.top_up(world.money("1", "second")).await.unwrap();
    assert_eq!(system.issue_new_documents(&mut looks).await.unwrap(), 1);
    assert_eq!(system.issue_new_documents(&mut looks).await.unwrap(), 0, "once");
    owner.top_up(world.money("1", "third")).await.unwrap();
    age().await.unwrap();
    assert_eq!(system.issue_new_documents(&mut looks).await.unwrap(), 0, "it is not looked at");
    assert_eq!(system.issue_new_documents(&mut DocumentLooks::default()).await.unwrap(), 1, "another process, or the same one later");
}

/// What is not committed is not issued, and the same number is given to the same posting then.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_breaks_off_leaves_no_gap(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    sell(&world).await;
    sqlx::raw_sql("alter table document_years add constraint broken check (receipts = 0)").execute(&world.pool).await.unwrap();
    assert!(world.ledger.system().issue_documents().await.is_err());
    assert!(documents(&world, ada).await.is_empty());
    sqlx::raw_sql("alter table document_years drop constraint broken").execute(&world.pool).await.unwrap();
    assert_eq!(world.ledger.system().issue_documents().await.unwrap(), 1);
    assert!(numbers(&documents(&world, ada).await)[0].ends_with("-000001"));
    world.assert_proven().await;
}
