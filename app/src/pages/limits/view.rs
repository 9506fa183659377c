use domain::{
    account::Key,
    credit::{Hardness, LimitSetter, LimitState, Scope, Unit, Window},
};
use leptos::prelude::*;

use super::{
    address,
    fields::{CAPACITY, CHANGE_MODELS, ENDS, HARDNESS, REMOVE, TELLS_COST, UNIT, WINDOW, tells},
    page::{Done, Limits},
};
use crate::parts::{
    confirm::confirm,
    form::{Field, Form, Tone, choice, hidden, notice, notice_of},
    layout::{empty, foreign, head, quoted, section, stack},
    limit::{COLUMNS, cells, whole_name, whole_name_view},
    models,
    table::{
        Column,
        Kind::{Action, Words},
        link, table, text,
    },
    whose::Whose,
};

/// The limits of a key, or of the account.
pub(crate) fn limits(page: &Limits, account: &Whose) -> AnyView {
    let Limits { key, limits, done, can_manage, form, .. } = page;
    let title = match key {
        Some(key) => view! { "Settings of "{quoted(&key.name, "")} }.into_any(),
        None => text("Limits of the account"),
    };
    let is_revoked = key.as_ref().is_some_and(|key| key.revoked_at.is_some());
    let can_change = *can_manage && !is_revoked;
    let path = address(key.as_ref().map(|key| key.id));
    let done = done.and_then(|done| outcome(done, key.as_ref(), limits));
    let revoked = is_revoked.then(|| notice(Tone::Plain, "This key is revoked: no call is left to bound."));
    let set = can_change.then(|| section("Set a limit", set_form(path.clone(), form)));
    let body =
        if limits.is_empty() { none(key.is_some(), can_change) } else { limits_table(page, can_change.then_some(path.as_str()), account) };
    let body = if key.is_some() { section("Limits", body) } else { body };
    stack(vec![
        head(title, about(page, account), ()),
        form.problem_view(),
        done.into_any(),
        revoked.into_any(),
        body,
        set.into_any(),
        key.as_ref().filter(|_| !is_revoked).map(|key| settings(key, page, can_change)).into_any(),
    ])
}

/// What else is set of a key, as long as it opens anything.
fn settings(key: &Key, page: &Limits, can_change: bool) -> AnyView {
    stack(vec![section("Models", models_of(key, page, can_change)), section("Cost in answers", cost_of(key, can_change))])
}

/// Which models it may call, and the form that changes that for who may.
fn models_of(key: &Key, page: &Limits, can_change: bool) -> AnyView {
    let rule = match &key.models {
        None => text("This key may call every model, also those that there will be."),
        Some(_) => view! { "This key may call "{foreign(&models::in_words(key.models.as_deref()))}". Calls of other models are refused." }
            .into_any(),
    };
    let form = can_change.then(|| {
        view! {
            <form class="column-form" method="post" action=address(Some(key.id))>
                {hidden(CHANGE_MODELS, "yes")}
                {models::field("Models that it may call", key.models.as_deref(), &page.models).view(&page.form)}
                <button>"Change the models"</button>
            </form>
        }
    });
    stack(vec![view! { <p class="subtitle prose">{rule}</p> }.into_any(), form.into_any()])
}

/// Whether answers to it tell their cost, and the button that turns that round for who may.
fn cost_of(key: &Key, can_change: bool) -> AnyView {
    let (rule, button) = if key.tells_cost {
        let rule = "Answers tell what the call cost, as usage.cost; a stream tells it in the usage that it ends with, whether it was asked for usage or \
                    not. A call with the header x-farebox-cost: omit is answered without.";
        (rule, "Leave the cost out")
    } else {
        let rule = "Answers do not tell what the call cost. Turned on, they do, as usage.cost: for programs that show costs. A single call asks for it \
                    by the header x-farebox-cost: include.";
        (rule, "Tell the cost in answers")
    };
    let form = can_change.then(|| {
        view! {
            <form class="column-form" method="post" action=address(Some(key.id))>
                {hidden(TELLS_COST, tells(!key.tells_cost))}
                <button>{button}</button>
            </form>
        }
    });
    stack(vec![view! { <p class="subtitle prose">{rule}</p> }.into_any(), form.into_any()])
}

fn about(page: &Limits, account: &Whose) -> AnyView {
    let project = page.project.as_deref().map(|name| view! { "The key is in the project "{foreign(name)}". " }.into_any());
    let bounded = if page.key.is_some() {
        view! { "Its limits bound its calls; "{link(account.at(&address(None)), "the limits of the account")}" bound them too." }.into_any()
    } else if page.limits.iter().any(|state| state.limit.scope != Scope::Account) {
        text("They bound the calls of all keys together, or of the project, the member or the run that they name.")
    } else {
        text("They bound the calls of all keys together.")
    };
    view! { {project}{bounded}" Times are UTC. "{link(account.at("/keys"), "All keys")} }.into_any()
}

/// What was just done, as far as what is shown bears it out.
fn outcome(done: Done, key: Option<&Key>, limits: &[LimitState]) -> Option<AnyView> {
    let find = |id| limits.iter().find(|state| state.limit.id == id);
    let words = match done {
        Done::Set(id) => view! { "The limit is set: "{whole_name_view(find(id)?)}"." }.into_any(),
        Done::Removed(id) if find(id).is_none() => text("The limit is removed: it bounds no call any more."),
        Done::Removed(_) => return None,
        Done::Models => key.map(|_| text("The models of the key are changed: every proxy knows within two seconds."))?,
        Done::Cost if key?.tells_cost => text("Answers to calls with this key tell their cost: every proxy knows within two seconds."),
        Done::Cost => text("Answers to calls with this key do not tell their cost: every proxy knows within two seconds."),
    };
    Some(notice_of(Tone::Good, words))
}

/// What one would be for, where one can be set.
fn none(of_key: bool, can_change: bool) -> AnyView {
    let (what, example) = if of_key {
        ("This key has no limit.", " One keeps it from using more than it should, such as $10.00 per month or 60 requests per minute.")
    } else {
        ("The account has no limit.", " One keeps all keys together from using more than they should, such as $100.00 per month.")
    };
    empty(format!("{what}{}", if can_change { example } else { "" }), ())
}

/// The limits; with a path to send the form to, each can be removed.
fn limits_table(page: &Limits, path: Option<&str>, account: &Whose) -> AnyView {
    let columns = [&COLUMNS[..], &[Column("At its end", Words), Column("Remove", Action)]].concat();
    let rows = page.limits.iter().map(|state| {
        let removes = path.filter(|_| is_removable(state, page.key.as_ref()));
        let more = [text(end(state.limit.hardness)), removes.map(|path| remove(path.to_owned(), state)).into_any()];
        cells(state, page.now, account).into_iter().chain(more).collect::<Vec<_>>().into()
    });
    table("cards", &columns, rows.collect(), None)
}

/// The operator's limits are the operator's to remove, the plan's nobody's, and those of a key's project or member stand on the account's page to be removed.
fn is_removable(state: &LimitState, key: Option<&Key>) -> bool {
    state.set_by == LimitSetter::Account && (key.is_none() || matches!(state.limit.scope, Scope::Key(_)))
}

const fn end(hardness: Hardness) -> &'static str {
    match hardness {
        Hardness::Hard => "Calls are refused",
        Hardness::Soft => "Calls go on",
    }
}

/// Asks once and names the limit.
fn remove(path: String, state: &LimitState) -> AnyView {
    let form = view! {
        <form method="post" action=path>
            {hidden(REMOVE, state.limit.id.to_string())}
            <p>"From then on no call is bounded by "{whole_name_view(state)}"."</p>
            <button class="danger"><span>"Remove the limit of "{whole_name_view(state)}</span></button>
        </form>
    };
    confirm(format!("remove-{}", state.limit.id), "Remove", format!("Remove {}", whole_name(state)), form.into_any())
}

fn set_form(path: String, form: &Form) -> AnyView {
    let rules = "A call counts in the window in which it began; while it runs, with the most that it can take. What was used since the window \
                 began counts at once, except in a minute. Setting the same kind of limit again changes its amount.";
    view! {
        <p class="subtitle prose">{rules}</p>
        <form class="row-form" method="post" action=path>
            {Field::amount(CAPACITY, "Amount").hint("Dollars like 12.50, or a whole number.").required().view(form)}
            {choice(form, UNIT, "Of what", options(&Unit::ALL, Unit::name, unit_label), Unit::Money.name())}
            {choice(form, WINDOW, "Over what time", options(&Window::ALL, Window::name, Window::label), Window::Month.name())}
            {choice(form, HARDNESS, "At its end", options(&ENDS, Hardness::name, end), Hardness::Hard.name())}
            <button class="primary">"Set the limit"</button>
        </form>
    }
    .into_any()
}

fn options<T: Copy>(offered: &[T], name: fn(T) -> &'static str, label: fn(T) -> &'static str) -> Vec<(String, String)> {
    offered.iter().map(|choice| (name(*choice).to_owned(), label(*choice).to_owned())).collect()
}

const fn unit_label(unit: Unit) -> &'static str {
    match unit {
        Unit::Money => "Dollars",
        Unit::Tokens | Unit::Requests => unit.label(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::collections::BTreeMap;

    use chrono::{DateTime, Utc};
    use domain::{
        credit::{Limit, Pool, Quantity},
        id::{KeyId, LimitId, ProjectId, UserId},
        money::Amount,
    };

    use super::*;
    use crate::parts::form::Problem;

    fn now() -> DateTime<Utc> {
        "2026-11-23T10:04:05Z".parse().unwrap()
    }

    fn laptop() -> Key {
        Key {
            id: KeyId::new(now(), [1; 10]),
            name: "laptop".to_owned(),
            project: ProjectId::new(now(), [4; 10]),
            member: Some(UserId::new(now(), [6; 10])),
            member_email: Some("ada@example.com".to_owned()),
            last_four: "abcd".to_owned(),
            models: None,
            tells_cost: false,
            created_at: now(),
            expires_at: None,
            revoked_at: None,
            last_used: None,
            spent_this_month: Amount::ZERO,
        }
    }

    /// $10.00 per month, of which $3.20 are used and 50 cents held.
    fn monthly() -> Limit {
        let cents = |cents: i64| Quantity::from_count(cents * 10_000_000);
        Limit {
            id: LimitId::new(now(), [2; 10]),
            scope: Scope::Key(laptop().id),
            window: Window::Month,
            hardness: Hardness::Hard,
            pool: Pool { unit: Unit::Money, capacity: cents(1_000), used: cents(320), leased: cents(50) },
        }
    }

    fn page(limits: Vec<Limit>) -> Limits {
        let limits = limits.into_iter().map(|limit| LimitState { limit, whose: None, set_by: LimitSetter::Account }).collect();
        Limits {
            key: Some(laptop()),
            project: None,
            models: vec!["small".to_owned()],
            limits,
            done: None,
            can_manage: true,
            now: now(),
            form: Form::default(),
        }
    }

    #[test]
    fn a_keys_page_says_which_models_it_may_call_and_only_who_may_can_change_them() {
        let draw = |models: Option<&str>, can_manage, key: bool| {
            let mut page = Limits { can_manage, ..page(vec![]) };
            page.key = key.then(|| Key { models: models.map(|name| vec![name.to_owned()]), ..laptop() });
            Owner::new().with(|| limits(&page, &Whose::Own).to_html()).replace("<!>", "")
        };
        let (every, one, seen, account) =
            (draw(None, true, true), draw(Some("small"), true, true), draw(Some("small"), false, true), draw(None, true, false));
        assert!(every.contains("every model, also those that there will be") && every.contains("Change the models"), "{every}");
        assert!(one.contains("<bdi>small</bdi>. Calls of other models are refused.") && one.contains(r#"value="small""#), "{one}");
        assert!(seen.contains("<bdi>small</bdi>") && !seen.contains("Change the models"), "{seen}");
        assert!(!account.contains("Models"), "{account}");
    }

    /// The same amount for all keys of the project that the laptop is in.
    fn of_project() -> LimitState {
        let limit = Limit { id: LimitId::new(now(), [5; 10]), scope: Scope::Project(laptop().project), ..monthly() };
        LimitState { limit, whose: Some("Research".to_owned()), set_by: LimitSetter::Account }
    }

    fn html(page: &Limits) -> String {
        Owner::new().with(|| limits(page, &Whose::Own).to_html().replace("<!>", ""))
    }

    #[test]
    fn a_limit_says_what_is_used_held_and_left_and_when_it_begins_anew() {
        let html = html(&page(vec![monthly()]));
        for text in
            ["Settings of “<bdi>laptop</bdi>”", "$10.00 per month", "$3.20", "$0.50", "$6.30", "1 Dec 2026, 00:00 UTC", "Calls are refused"]
        {
            assert!(html.contains(text), "{text} is missing: {html}");
        }
        assert!(html.contains("Remove the limit of $10.00 per month") && html.contains("the limits of the account"), "{html}");
    }

    #[test]
    fn one_that_was_overdrawn_has_nothing_left_and_one_of_all_time_never_begins_anew() {
        let pool = Pool { used: Quantity::from_count(7), ..Pool::new(Unit::Requests, Quantity::from_count(5)) };
        let html = html(&page(vec![Limit { window: Window::Ever, hardness: Hardness::Soft, pool, ..monthly() }]));
        for text in ["5 requests in all", r#"data-label="Left" class="number">0<"#, ">never<", "Calls go on"] {
            assert!(html.contains(text), "{text} is missing: {html}");
        }
    }

    #[test]
    fn where_there_is_none_the_page_says_what_one_is_for() {
        let of_key = page(vec![]);
        assert!(html(&of_key).contains("This key has no limit. One keeps it from"));
        let of_account = Limits { key: None, ..page(vec![]) };
        let html = html(&of_account);
        assert!(
            html.contains("Limits of the account") && html.contains("The account has no limit. One keeps all keys together from"),
            "{html}"
        );
        assert!(html.contains(r#"action="/keys/account""#), "{html}");
    }

    #[test]
    fn the_limit_of_its_project_stands_on_a_keys_page_and_is_not_removed_there() {
        let limits = vec![of_project(), LimitState { limit: monthly(), whose: Some("laptop".to_owned()), set_by: LimitSetter::Account }];
        let html = html(&Limits { limits, project: Some("Research".to_owned()), ..page(vec![]) });
        let plain = html.replace("<!>", "");
        assert!(plain.contains("The key is in the project <bdi>Research</bdi>. "), "{html}");
        assert!(plain.contains("><bdi>Research</bdi></a>") && !plain.contains("of the key"), "{html}");
        assert_eq!(html.matches("Remove the limit of").count(), 1, "{html}");
    }

    #[test]
    fn the_limit_of_its_member_stands_on_a_keys_page_and_is_not_removed_there() {
        let limit = Limit { scope: Scope::Member(laptop().member.unwrap()), ..monthly() };
        let limits = vec![LimitState { limit, whose: laptop().member_email, set_by: LimitSetter::Account }];
        let html = html(&Limits { limits, ..page(vec![]) });
        assert!(html.contains("of the member <bdi>ada@example.com</bdi>"), "{html}");
        assert!(!html.contains("Remove the limit of"), "{html}");
    }

    #[test]
    fn an_owner_removes_any_limit_of_the_account_but_the_operators_and_the_plans() {
        let [by_operator, by_plan] = [LimitSetter::Operator, LimitSetter::Plan].map(|set_by| LimitState { set_by, ..of_project() });
        let html = html(&Limits { key: None, limits: vec![of_project(), by_operator, by_plan], ..page(vec![]) });
        assert!(
            html.contains("of the project, the member or the run that they name")
                && html.contains("set by the operator")
                && html.contains("comes with the plan"),
            "{html}"
        );
        assert_eq!(html.matches("Remove the limit of $10.00 per month of the project “<bdi>Research</bdi>”").count(), 1, "{html}");
    }

    #[test]
    fn a_viewer_sees_the_limits_and_no_form() {
        for limits in [vec![], vec![monthly()]] {
            let viewed = html(&Limits { can_manage: false, ..page(limits.clone()) });
            assert!(!viewed.contains("<form") && !viewed.contains("Set a limit"), "{viewed}");
            assert!(html(&page(limits)).contains("<form"));
        }
    }

    #[test]
    fn a_revoked_key_keeps_its_limits_and_has_no_form() {
        let key = Some(Key { revoked_at: Some(now()), ..laptop() });
        let html = html(&Limits { key, ..page(vec![monthly()]) });
        assert!(html.contains("This key is revoked") && html.contains("$10.00 per month") && !html.contains("<form"), "{html}");
    }

    #[test]
    fn what_was_done_is_read_from_the_limits_and_not_from_the_address() {
        let said = |done, limits| html(&Limits { done: Some(done), ..page(limits) });
        let (ours, other) = (monthly().id, LimitId::new(now(), [9; 10]));
        assert!(said(Done::Set(ours), vec![monthly()]).contains("The limit is set: $10.00 per month."));
        assert!(!said(Done::Set(other), vec![monthly()]).contains("The limit is set"));
        assert!(said(Done::Removed(other), vec![monthly()]).contains("The limit is removed"));
        assert!(!said(Done::Removed(ours), vec![monthly()]).contains("The limit is removed"));
    }

    #[test]
    fn whether_answers_tell_the_cost_is_said_and_turned_round_by_who_manages_keys() {
        let of = |tells_cost, can_manage| {
            let key = Some(Key { tells_cost, ..laptop() });
            html(&Limits { key, done: Some(Done::Cost), can_manage, ..page(vec![]) })
        };
        let sends = |html: &str, value: &str| html.contains(&format!(r#"name="tells_cost" value="{value}""#));
        let (told, hidden) = (of(true, true), of(false, true));
        assert!(told.contains("with this key tell their cost") && sends(&told, "no") && told.contains("Leave the cost out"), "{told}");
        assert!(
            hidden.contains("do not tell their cost") && sends(&hidden, "yes") && hidden.contains("Tell the cost in answers"),
            "{hidden}"
        );
        let viewed = of(true, false);
        assert!(viewed.contains("Answers tell what the call cost") && !viewed.contains("<form"), "{viewed}");
        let account = html(&Limits { key: None, done: Some(Done::Cost), ..page(vec![]) });
        assert!(!account.contains("their cost") && !account.contains("usage.cost"), "{account}");
    }

    #[test]
    fn what_was_done_is_said_in_the_address_and_read_from_it() {
        let limit = LimitId::new(now(), [9; 10]);
        for done in [Done::Set(limit), Done::Removed(limit), Done::Models, Done::Cost] {
            assert_eq!(Done::of_query(&done.to_query()), Some(done));
        }
        assert_eq!((Done::of_query(""), Done::of_query("set=x"), Done::of_query("changed=x")), (None, None, None));
    }

    #[test]
    fn a_form_that_comes_back_keeps_what_was_typed_and_chosen() {
        let typed = [(CAPACITY, "a lot"), (UNIT, "requests"), (WINDOW, "minute"), (HARDNESS, "soft")];
        let typed: BTreeMap<_, _> = typed.map(|(field, text)| (field.to_owned(), text.to_owned())).into();
        let problem = Some(Problem { field: CAPACITY.to_owned(), message: "This is not a whole number: write it like 1000.".to_owned() });
        let html = html(&Limits { form: Form { typed, problem, ..Form::default() }, ..page(vec![]) });
        assert!(html.contains(r#"value="a lot""#) && html.contains("This is not a whole number"), "{html}");
        for chosen in ["requests", "minute", "soft"] {
            assert!(html.contains(&format!(r#"<option value="{chosen}" selected"#)), "{chosen} is not chosen: {html}");
        }
    }
}
