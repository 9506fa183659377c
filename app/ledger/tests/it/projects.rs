//! Parts of an account: whose a call is stays as it was.

use chrono::TimeDelta;
use domain::{
    credit::{Hardness, Quantity, Scope, Unit, Window},
    filter::CallFilter,
    id::{KeyId, LimitId, ProjectId},
    money::Amount,
};
use ledger::{Error, NewKey, NewLimit, NewProject};
use sqlx::PgPool;

use crate::world::{World, with};

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_project_is_made_once_under_a_name_of_its_own(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "1").await, world.customer("bob", "1").await);
    let (ada_owns, bob_owns) = (world.ledger.owner(ada.user).await.unwrap(), world.ledger.owner(bob.user).await.unwrap());
    let id = ProjectId::new(world.now, world.random());
    let new = NewProject { id, name: " Research ", now: world.now };
    ada_owns.add_project(new.clone()).await.unwrap();
    assert!(matches!(ada_owns.add_project(new.clone()).await, Err(Error::Taken("this project"))));
    let other = NewProject { id: ProjectId::new(world.now, world.random()), name: "research", ..new.clone() };
    assert!(matches!(ada_owns.add_project(other.clone()).await, Err(Error::Taken("a project of this name"))));
    bob_owns.add_project(other.clone()).await.unwrap();
    for name in ["", "two\nlines", &"n".repeat(101)] {
        let bad = NewProject { id: ProjectId::new(world.now, world.random()), name, now: world.now };
        assert!(matches!(ada_owns.add_project(bad).await, Err(Error::Invalid { field: "name", .. })), "{name:?}");
    }
    let names: Vec<_> = ada_owns.projects().await.unwrap().into_iter().map(|project| project.name).collect();
    assert_eq!(names, ["Default", "Research"]);

    for (key, project) in [(bob.key, id), (ada.key, other.id), (KeyId::new(world.now, world.random()), id)] {
        assert!(matches!(ada_owns.move_key(key, project).await, Err(Error::NotFound)));
    }
    let secret = world.secret();
    let of_bobs = NewKey { project: other.id, ..world.new_key(ada, &secret, "second") };
    assert!(matches!(ada_owns.create_key(of_bobs).await, Err(Error::NotFound)));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn calls_stay_in_the_project_in_which_they_were_made_when_their_key_moves(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let owner = world.ledger.owner(ada.user).await.unwrap();
    let (first, research) = (ProjectId::first_of(ada.account), ProjectId::new(world.now, world.random()));
    owner.add_project(NewProject { id: research, name: "Research", now: world.now }).await.unwrap();
    let before = world.call(ada, 1_000, 0, TimeDelta::hours(1));
    world.post(std::slice::from_ref(&before)).await.unwrap();
    let secret = world.secret();
    let new_key = world.new_key(ada, &secret, "second");
    let key = new_key.id;
    owner.create_key(new_key).await.unwrap();

    owner.move_key(key, research).await.unwrap();

    let entry = world.ledger.meter().key(&ledger::keys::digest(&secret)).await.unwrap().unwrap();
    assert_eq!((entry.project_id, entry.project_name.as_str(), entry.member), (research, "Research", Some(ada.user)));
    let mut after = world.call(ada, 2_000, 0, TimeDelta::zero());
    (after.admitted.key_id, after.admitted.project_id) = (key, entry.project_id);
    world.post(std::slice::from_ref(&after)).await.unwrap();
    owner.move_key(key, first).await.unwrap();
    for (project, call) in [(first, &before), (research, &after)] {
        let filter = CallFilter { project: Some(project), ..CallFilter::default() };
        let calls = owner.calls(&filter, None, 10, world.now).await.unwrap().calls;
        assert_eq!(calls.iter().map(|row| row.id).collect::<Vec<_>>(), [call.call_id]);
        assert_eq!(owner.call(call.call_id).await.unwrap().project.id, project);
    }
    world.assert_proven().await;
}

/// What was used before, what runs, and what comes: each limit counts the calls of its own alone.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_limit_of_a_part_of_an_account_counts_that_part(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let owner = world.ledger.owner(ada.user).await.unwrap();
    let research = ProjectId::new(world.now, world.random());
    owner.add_project(NewProject { id: research, name: "Research", now: world.now }).await.unwrap();
    let secret = world.secret();
    let nobodys = NewKey { member: None, ..world.new_key(ada, &secret, "nobody's") };
    let key = nobodys.id;
    owner.create_key(nobodys).await.unwrap();
    let mut calls: Vec<_> = (0..4).map(|hour| world.call(ada, 1_000, 0, TimeDelta::hours(hour))).collect();
    calls[0].admitted.project_id = research;
    calls[1].admitted.attribution.session = "nightly".parse().ok();
    (calls[2].admitted.key_id, calls[2].admitted.member) = (key, None);
    world.post(&calls).await.unwrap();
    world.ledger.system().operator().credit_call(calls[1].call_id, world.give_back(Some("0.0002"), "back")).await.unwrap();
    let running = with(world.intent(ada, "0.5"), |call| {
        (call.project_id, call.attribution.session) = (research, "nightly".parse().ok());
    });
    world.lease(&running).await.unwrap();
    let scopes =
        [Scope::Project(research), Scope::Member(ada.user), Scope::Run("nightly".parse().unwrap()), Scope::Key(key), Scope::Account];
    for scope in &scopes {
        for unit in [Unit::Money, Unit::Requests] {
            let id = LimitId::new(world.now, world.random());
            let capacity = Quantity::from_count(1_000_000_000_000);
            let new = NewLimit { id, scope: scope.clone(), window: Window::Day, unit, hardness: Hardness::Hard, capacity };
            owner.set_limit(&new).await.unwrap();
        }
    }
    let price = calls[0].amount.nanos();
    let back: Amount = "0.0002".parse().unwrap();
    // Of what runs already it counts what it comes to, as it ends.
    let expected = |calls: [i64; 5], backs: [i64; 5]| {
        let figures = calls.into_iter().zip(backs).map(move |(calls, backs)| [(calls * price - backs * back.nanos(), 0), (calls, 0)]);
        figures.flatten().collect::<Vec<_>>()
    };
    let found = || async {
        let states = owner.limits(world.now).await.unwrap();
        let of = |scope: &Scope, unit| {
            let state = states.iter().find(|state| state.limit.scope == *scope && state.limit.pool.unit == unit).unwrap();
            (state.limit.pool.used.get(), state.limit.pool.leased.get())
        };
        scopes.iter().flat_map(|scope| [of(scope, Unit::Money), of(scope, Unit::Requests)]).collect::<Vec<_>>()
    };
    assert_eq!(found().await, expected([1, 3, 1, 1, 4], [0, 1, 1, 0, 1]));

    let ended = world.settle(&running, ada, 1_000, 0);
    world.post(&[ended]).await.unwrap();
    let states = owner.limits(world.now).await.unwrap();
    let used: Vec<_> = scopes
        .iter()
        .map(|scope| states.iter().find(|state| state.limit.scope == *scope && state.limit.pool.unit == Unit::Requests).unwrap())
        .map(|state| (state.limit.pool.used.get(), state.limit.pool.leased.get(), state.whose.clone().unwrap_or_default()))
        .collect();
    let whose = ["Research", "ada@example.com", "nightly", "nobody's", ""].map(str::to_owned);
    let expected: Vec<_> = [2, 4, 2, 1, 5].into_iter().zip(whose).map(|(used, whose)| (used, 0, whose)).collect();
    assert_eq!(used, expected);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_limit_is_of_what_the_account_has_and_an_owners_to_set(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "1").await, world.customer("bob", "1").await);
    let (owner, member) = (world.ledger.owner(ada.user).await.unwrap(), world.ledger.member(ada.user).await.unwrap());
    let capacity = Quantity::from_count(1);
    let new = |scope| {
        let id = LimitId::new(world.now, world.random());
        NewLimit { id, scope, window: Window::Day, unit: Unit::Requests, hardness: Hardness::Hard, capacity }
    };
    for scope in [Scope::Project(ProjectId::first_of(bob.account)), Scope::Member(bob.user), Scope::Key(bob.key)] {
        assert!(matches!(owner.set_limit(&new(scope)).await, Err(Error::NotFound)));
    }
    for scope in
        [Scope::Account, Scope::Project(ProjectId::first_of(ada.account)), Scope::Member(ada.user), Scope::Run("r".parse().unwrap())]
    {
        let of_it = new(scope);
        assert!(matches!(member.set_limit(&of_it).await, Err(Error::Forbidden)));
        owner.set_limit(&of_it).await.unwrap();
        assert!(matches!(member.remove_limit(of_it.id).await, Err(Error::Forbidden)));
    }
    member.set_limit(&new(Scope::Key(ada.key))).await.unwrap();
}
