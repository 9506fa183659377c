use chrono::TimeDelta;
use domain::{
    account::Role,
    id::{AccountId, GrantId, KeyId, ProjectId, UserId},
};
use ledger::{Error, Inhabitants, NewCustomer, NewKey, NewOperator, NewProject};
use sqlx::PgPool;

use crate::world::{PASSWORD, World};

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn only_the_right_password_signs_in(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    assert_eq!(world.ledger.authenticate(" ADA@example.com ", PASSWORD).await.unwrap(), ada.user);
    for (email, password) in [("ada@example.com", "wrong"), ("nobody@example.com", PASSWORD), ("", "")] {
        assert!(matches!(world.ledger.authenticate(email, password).await, Err(Error::BadCredentials)), "{email}");
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn no_name_stands_for_another_accounts_id_or_address(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "0").await, world.customer("bob", "0").await);
    let find = async |text: &str| world.ledger.system().find_account(text).await.map(|account| account.id).ok();
    for name in [bob.account.to_string(), "bob@example.com".to_owned(), "carol@example.com".to_owned()] {
        let rename = sqlx::query("update accounts set name = $2 where account_id = $1").bind(ada.account.uuid()).bind(&name);
        rename.execute(&world.pool).await.unwrap();
        let meant = (name != "carol@example.com").then_some(bob.account);
        assert_eq!(find(&name).await, meant, "{name}");
    }
    assert_eq!(find("ADA@example.com").await, Some(ada.account));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_new_password_ends_every_session(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let later = world.now + TimeDelta::hours(1);
    assert!(world.ledger.create_session("one", Some(ada.user), b"data", later).await.unwrap());
    assert!(!world.ledger.create_session("one", None, b"other", later).await.unwrap(), "an id is taken once");

    world.ledger.system().set_password("ada@example.com", "another password".to_owned()).await.unwrap();

    assert_eq!(world.ledger.load_session("one", world.now).await.unwrap(), None);
    world.ledger.save_session("one", Some(ada.user), b"data", later).await.unwrap();
    assert_eq!(world.ledger.load_session("one", world.now).await.unwrap(), None, "an ended session stays ended");
    assert_eq!(world.ledger.authenticate("ada@example.com", "another password").await.unwrap(), ada.user);
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_session_ends_with_its_time(pool: PgPool) {
    let world = World::new(pool).await;
    world.ledger.create_session("one", None, b"data", world.now).await.unwrap();
    assert_eq!(world.ledger.load_session("one", world.now).await.unwrap(), None);
    assert_eq!(world.ledger.system().delete_expired_sessions(world.now).await.unwrap(), 1);
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_address_belongs_to_one_person_and_nothing_is_half_made(pool: PgPool) {
    let mut world = World::new(pool).await;
    world.customer("ada", "0").await;
    let again = NewCustomer { email: "Ada@Example.com".to_owned(), ..another(&mut world) };
    assert!(matches!(world.ledger.sign_up(again.clone()).await, Err(Error::EmailTaken)));
    assert_eq!(world.ledger.system().inhabitants().await.unwrap(), Inhabitants { users: 1, accounts: 1, demo_accounts: 0 });
    let bad = [
        NewCustomer { email: "no address".to_owned(), ..again.clone() },
        NewCustomer { email: "new@example.com".to_owned(), password: "short".to_owned(), ..again.clone() },
        NewCustomer { email: "new@example.com".to_owned(), account_name: "  ".to_owned(), ..again },
    ];
    for new in bad {
        assert!(matches!(world.ledger.sign_up(new).await, Err(Error::Invalid { .. })));
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_name_is_read_in_its_own_direction_and_on_one_line(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let owner = world.ledger.owner(ada.user).await.unwrap();
    for bad in ["\u{202e}evil", "li\u{2066}ve", "a\nb", "a\u{2028}b", "a\tb"] {
        let customer = NewCustomer { account_name: bad.to_owned(), ..another(&mut world) };
        assert!(matches!(world.ledger.sign_up(customer).await, Err(Error::Invalid { field: "name", .. })), "{bad:?}");
        let person = NewCustomer { email: format!("{bad}@example.com"), ..another(&mut world) };
        assert!(matches!(world.ledger.sign_up(person).await, Err(Error::Invalid { field: "email", .. })), "{bad:?}");
        let secret = world.secret();
        let key = NewKey { name: bad, ..world.new_key(ada, &secret, bad) };
        assert!(matches!(owner.create_key(key).await, Err(Error::Invalid { field: "name", .. })), "{bad:?}");
        let project = NewProject { id: ProjectId::new(world.now, world.random()), name: bad, now: world.now };
        assert!(matches!(owner.add_project(project).await, Err(Error::Invalid { field: "name", .. })), "{bad:?}");
    }
    for good in ["Café Ω 日本", "شركة", "👩‍💻 Labs"] {
        let customer = NewCustomer { account_name: good.to_owned(), email: format!("{}@example.com", good.len()), ..another(&mut world) };
        world.ledger.sign_up(customer).await.unwrap();
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_new_name_has_eighty_letters_and_an_older_one_may_have_more(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let named = |name: String, world: &mut World| NewCustomer { account_name: name, ..another(world) };
    let (long, longest) = (named("é".repeat(81), &mut world), named("é".repeat(80), &mut world));
    assert!(matches!(world.ledger.sign_up(long).await, Err(Error::Invalid { field: "name", .. })));
    world.ledger.sign_up(longest).await.unwrap();
    let rename = sqlx::query("update accounts set name = repeat('n', 200) where account_id = $1").bind(ada.account.uuid());
    rename.execute(&world.pool).await.unwrap();
    assert_eq!(world.ledger.system().find_account("ada@example.com").await.unwrap().name.len(), 200);
}

/// An account that nobody has opened yet.
fn another(world: &mut World) -> NewCustomer {
    NewCustomer {
        account_id: AccountId::new(world.now, world.random()),
        account_name: "second".to_owned(),
        grant_id: GrantId::new(world.now, world.random()),
        user_id: UserId::new(world.now, world.random()),
        email: "second@example.com".to_owned(),
        password: PASSWORD.to_owned(),
        is_demo: false,
        now: world.now,
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_scope_is_had_only_by_proving_the_right_to_it(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "1").await, world.customer("bob", "1").await);
    let root = UserId::new(world.now, world.random());
    let operator = NewOperator { user_id: root, email: "root@example.com".to_owned(), password: PASSWORD.to_owned(), now: world.now };
    world.ledger.system().create_operator(operator).await.unwrap();

    world.ledger.operator(root).await.unwrap();
    assert!(matches!(world.ledger.operator(ada.user).await, Err(Error::Forbidden)));
    assert!(matches!(world.ledger.reader(root).await, Err(Error::NotFound)));

    let call = world.call(ada, 10, 10, TimeDelta::zero());
    world.post(std::slice::from_ref(&call)).await.unwrap();
    let of_bob = world.ledger.owner(bob.user).await.unwrap();
    assert!(matches!(of_bob.call(call.call_id).await, Err(Error::NotFound)), "another account's call");
    assert!(matches!(of_bob.revoke_key(ada.key, world.now).await, Err(Error::NotFound)), "another account's key");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_viewer_sees_and_a_member_makes_keys_and_only_an_owner_pays(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    for (role, makes_keys, pays) in [(Role::Viewer, false, false), (Role::Member, true, false), (Role::Owner, true, true)] {
        sqlx::query("update memberships set role = $1").bind(role).execute(&world.pool).await.unwrap();
        world.ledger.reader(ada.user).await.unwrap();
        assert_eq!(world.ledger.member(ada.user).await.is_ok(), makes_keys, "{role:?}");
        assert_eq!(world.ledger.owner(ada.user).await.is_ok(), pays, "{role:?}");
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_key_is_found_by_its_digest_until_nobody_wants_it(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let member = world.ledger.member(ada.user).await.unwrap();
    let secret = world.secret();
    let new = NewKey { expires_at: Some(world.now + TimeDelta::days(1)), ..world.new_key(ada, &secret, "second") };
    let id = new.id;
    member.create_key(new.clone()).await.unwrap();
    assert!(matches!(member.create_key(new.clone()).await, Err(Error::Taken(_))), "a second click makes no second key");

    let digest = ledger::keys::digest(&secret);
    let entry = world.ledger.meter().key(&digest).await.unwrap().unwrap();
    assert_eq!((entry.account_id, entry.key_id), (ada.account, id));
    assert!(entry.works_at(world.now) && !entry.works_at(world.now + TimeDelta::days(1)));
    assert!(world.ledger.meter().key(&[0; 32]).await.unwrap().is_none());

    member.revoke_key(id, world.now).await.unwrap();
    assert!(!world.ledger.meter().key(&digest).await.unwrap().unwrap().works_at(world.now));
    let past = NewKey { id: KeyId::new(world.now, world.random()), expires_at: Some(world.now), ..new };
    assert!(matches!(member.create_key(past).await, Err(Error::Invalid { field: "expires", .. })));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_application_may_not_rewrite_history(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let call = world.call(ada, 10, 10, TimeDelta::zero());
    world.post(&[call]).await.unwrap();
    let mut connection = world.pool.acquire().await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("set role \"{}\"", world.login.role()))).execute(&mut *connection).await.unwrap();
    for statement in [
        "update calls set amount = 0",
        "delete from calls",
        "update entries set amount = 0",
        "delete from entries",
        "update journal set memo = ''",
        "delete from journal",
        "update audit set who = ''",
        "delete from audit",
        "update price_versions set rates = rates",
        "delete from price_versions",
        "update documents set buyer_name = ''",
        "delete from documents",
        "update sellers set name = ''",
        "delete from sellers",
        "delete from grants",
        "delete from usage_daily",
        "drop table calls",
        "update schema_contract set oldest_writer = 0",
        "create table mine (x int)",
    ] {
        let refused = sqlx::query(statement).execute(&mut *connection).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("42501"), "{statement}");
    }
}
