use domain::{
    account::{Key, Project},
    credit::{LimitState, Scope},
    key::masked,
};
use leptos::prelude::*;

use super::{
    FreshKey,
    page::{Keys, NewKey},
};
use crate::{
    pages::limits::address,
    parts::{
        confirm::confirm,
        copy::copy_button,
        form::{Field, Form, Tone, choice, hidden, notice, notice_of},
        layout::{empty, foreign, head, quoted, section, stack},
        limit, models, money,
        table::{
            Column,
            Kind::{Action, Code, Figures, Moment, Words},
            Row, link, name, name_link, table, text, with_note,
        },
        time,
        whose::Whose,
    },
};

/// The keys.
pub(crate) fn list(page: &Keys, account: &Whose) -> AnyView {
    let Keys { keys, search, limits, revoked, can_manage, base_url, without_credit, form, .. } = page;
    let done = revoked.as_ref().map(|name| notice_of(Tone::Good, quoted(name, " is revoked. Every proxy refuses it within two seconds.")));
    let body = if keys.is_empty() && search.is_of_all() {
        empty(if *can_manage { "There is no key yet. Create one to make the first call." } else { "There is no key yet." }, ())
    } else {
        search.list(account.at("/keys"), "keys", keys_table(page, account))
    };
    let create = can_manage.then(|| view! { <a class="button primary" href="/keys/new">"Create a key"</a> });
    let about =
        view! { "A key opens the gateway for any OpenAI client, at the base URL "<code>{base_url.clone()}</code>". Times are UTC." };
    let of_account = section("Limits of the account", account_limits(limits, *can_manage, account));
    let reports = (*account == Whose::Own)
        .then(|| view! { <p class="hint">{link("/keys/reports".to_owned(), "Report keys")}" read usage and costs for programs"</p> });
    stack(vec![
        head("Keys", about, create),
        form.problem_view(),
        done.into_any(),
        credit(*without_credit, account),
        body,
        of_account,
        reports.into_any(),
    ])
}

fn keys_table(page: &Keys, account: &Whose) -> AnyView {
    let mut columns = vec![
        Column("Name", Words),
        Column("Key", Code),
        Column("State", Words),
        Column("Created", Moment),
        Column("Last used", Moment),
        Column("Spent this month, so far", Figures),
        Column("Limits", Words),
        Column("Revoke", Action),
    ];
    if page.has_projects() {
        columns.insert(PROJECT_PLACE, Column("Project", Words));
    }
    table("cards wide fixed", &columns, page.keys.iter().map(|key| row(page, key, account)).collect(), None)
}

/// Where the project stands among the columns.
const PROJECT_PLACE: usize = 1;

fn row(page: &Keys, key: &Key, account: &Whose) -> Row {
    let works = key.works_at(page.now);
    let state = match (key.revoked_at, key.expires_at) {
        (Some(at), _) => format!("Revoked {}", time::day(at)),
        (None, Some(at)) if works => format!("Works until {}", time::minute(at)),
        (None, Some(at)) => format!("Expired {}", time::minute(at)),
        (None, None) => "Works".to_owned(),
    };
    let last_used = key.last_used.map_or_else(|| text("never"), |hour| with_note(time::time_view(hour, time::day(hour)), time::hour(hour)));
    let can_change = page.can_manage && key.revoked_at.is_none();
    let action = if can_change { revoke(key) } else { ().into_any() };
    let limits = limits_of(&page.limits, |scope| *scope == Scope::Key(key.id));
    let mut cells = vec![
        named(key, account),
        view! { <code>{masked(&key.last_four)}</code> }.into_any(),
        text(state),
        time::time_view(key.created_at, time::day(key.created_at)),
        last_used,
        money::total_view(key.spent_this_month),
        key_limits(key, &limits, can_change, account),
        action,
    ];
    if page.has_projects() {
        let project = page.projects.iter().find(|project| project.id == key.project);
        cells.insert(PROJECT_PLACE, project.map(|project| name(&project.name)).into_any());
    }
    Row { cells, faded: !works }
}

/// Its name, and below it whose it is, unless it is nobody's, and what it may call, unless that is every model.
fn named(key: &Key, account: &Whose) -> AnyView {
    let member = key.member_email.as_deref().map(|email| view! { <span class="by">{foreign(email)}</span> });
    let models = models::in_a_line(key.models.as_deref()).map(|line| view! { <span class="by">{foreign(&line)}</span> });
    view! { <span>{name_link(account.at(&format!("/usage?key={}", key.id)), &key.name)}</span>{member}{models} }.into_any()
}

fn limits_of(limits: &[LimitState], is_asked: impl Fn(&Scope) -> bool) -> Vec<&LimitState> {
    limits.iter().filter(|state| is_asked(&state.limit.scope)).collect()
}

/// How far they are used, and the way to all of it.
fn key_limits(key: &Key, limits: &[&LimitState], can_change: bool, account: &Whose) -> AnyView {
    let label = format!("{} settings of {}", if can_change { "Change" } else { "See" }, key.name);
    let href = account.at(&address(Some(key.id)));
    view! { <div>{limit::lines(limits, account)}<a href=href aria-label=label>"Settings"</a></div> }.into_any()
}

/// What bounds all keys together, or those of a project, a member or a run.
fn account_limits(limits: &[LimitState], can_manage: bool, account: &Whose) -> AnyView {
    let limits = limits_of(limits, |scope| !matches!(scope, Scope::Key(_)));
    let way = link(account.at(&address(None)), if can_manage { "Set limits of the account" } else { "See limits of the account" });
    if limits.is_empty() {
        let words = "None. One would bound all keys together; a key can have limits of its own as well.";
        return empty(words, can_manage.then_some(way));
    }
    stack(vec![limit::lines(&limits, account), way])
}

/// Why a good key may not help.
fn credit(without: bool, account: &Whose) -> AnyView {
    let words = "This account has no credit that is available, so calls that cost anything are refused. ";
    without.then(|| view! { <p class="notice" role="note">{words}<a href=account.at("/billing")>"See billing"</a></p> }).into_any()
}

/// Asks once and names the key.
fn revoke(key: &Key) -> AnyView {
    let form = view! {
        <form method="post" action="/keys">
            {hidden("revoke", key.id.to_string())}
            <p>"Calls with "{quoted(&key.name, " are refused from then on. This cannot be undone.")}</p>
            <button class="danger"><span>"Revoke "{foreign(&key.name)}" for good"</span></button>
        </form>
    };
    confirm(format!("revoke-{}", key.id), "Revoke", format!("Revoke {}", key.name), form.into_any())
}

/// The form of a new key, or the key.
pub(crate) fn new(page: NewKey) -> AnyView {
    match page.fresh_key.clone() {
        Some(key) => show_once(key, &page.base_url, page.without_credit, page.model.as_deref().unwrap_or("MODEL")),
        None => new_form(&page),
    }
}

fn new_form(NewKey { form, projects, models, now, .. }: &NewKey) -> AnyView {
    // What was sent and is none is told of, though there be nothing to choose.
    let has_projects = projects.len() > 1 || form.problem_at("project").is_some();
    let form = view! {
        <form class="column-form" method="post" action="/keys/new">
            {form.once_field()}
            {form.problem_view()}
            {Field::new("text", "name", "Name").hint("What it is for: “production”, “laptop”. Usage is listed under it.").required().view(form)}
            {Field::new("date", "expires", "Last day").hint("It works through this day, UTC. Without one it works until it is revoked.").min(now.date_naive().to_string()).view(form)}
            {models::field("Models", None, models).view(form)}
            {has_projects.then(|| project_choice(form, projects))}
            <button class="primary">"Create key"</button>
        </form>
    };
    stack(vec![head("New key", link("/keys".to_owned(), "All keys"), ()), form.into_any()])
}

fn project_choice(form: &Form, projects: &[Project]) -> AnyView {
    let options = projects.iter().map(|project| (project.id.to_string(), project.name.clone())).collect();
    let first = projects.first().map(|project| project.id.to_string()).unwrap_or_default();
    choice(form, "project", "Project", options, &first)
}

fn show_once(key: FreshKey, base_url: &str, without_credit: bool, model: &str) -> AnyView {
    let until = key.expires_at.map_or_else(|| "until it is revoked".to_owned(), |at| format!("until {} UTC", time::minute(at)));
    let only = key.models.as_deref().map(|models| format!(" It may call {} and no other model.", models.join(", "))).unwrap_or_default();
    let snippets = snippets(&key.secret, base_url, model).map(|(client, code)| snippet(client, code)).collect_view();
    let secret = view! { <div class="secret"><code>{key.secret.clone()}</code>{copy_button(key.secret.clone(), "Copy the key")}</div> };
    stack(vec![
        head(quoted(&key.name, " is ready"), link("/keys".to_owned(), "All keys"), ()),
        notice(Tone::Good, format!("Copy the key now: it is shown only this once. It works {until}.{only}")),
        secret.into_any(),
        credit(without_credit, &Whose::Own),
        section("First call", snippets.into_any()),
    ])
}

fn snippet(name: &'static str, code: String) -> AnyView {
    view! {
        <div class="snippet">
            <div class="snippet-head"><h3>{name}</h3>{copy_button(code.clone(), "Copy")}</div>
            <pre tabindex="0" role="region" aria-label=name><code>{code}</code></pre>
        </div>
    }
    .into_any()
}

fn snippets(secret: &str, base_url: &str, model: &str) -> std::array::IntoIter<(&'static str, String), 3> {
    let curl = format!(
        "curl {base_url}/chat/completions \\\n  -H \"Authorization: Bearer {secret}\" \\\n  -H \"Content-Type: application/json\" \\\n  -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'"
    );
    let python = format!(
        "from openai import OpenAI\n\nclient = OpenAI(base_url=\"{base_url}\", api_key=\"{secret}\")\nanswer = client.chat.completions.create(\n    model=\"{model}\",\n    messages=[{{\"role\": \"user\", \"content\": \"Hello\"}}],\n)\nprint(answer.choices[0].message.content)"
    );
    let node = format!(
        "import OpenAI from \"openai\";\n\nconst client = new OpenAI({{ baseURL: \"{base_url}\", apiKey: \"{secret}\" }});\nconst answer = await client.chat.completions.create({{\n  model: \"{model}\",\n  messages: [{{ role: \"user\", content: \"Hello\" }}],\n}});\nconsole.log(answer.choices[0].message.content);"
    );
    [("curl", curl), ("Python", python), ("Node", node)].into_iter()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use chrono::{DateTime, Utc};
    use domain::{
        credit::{Hardness, Limit, LimitSetter, Pool, Quantity, Unit, Window},
        id::{KeyId, LimitId, ProjectId},
        money::Amount,
    };

    use super::*;
    use crate::parts::{form::Problem, search::Search};

    fn now() -> DateTime<Utc> {
        "2026-11-23T10:04:05Z".parse().unwrap()
    }

    fn key(name: &str, number: u8) -> Key {
        Key {
            id: KeyId::new(now(), [number; 10]),
            name: name.to_owned(),
            project: project("Default", 8).id,
            member: None,
            member_email: None,
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

    fn project(name: &str, number: u8) -> Project {
        Project { id: ProjectId::new(now(), [number; 10]), name: name.to_owned(), created_at: now() }
    }

    fn limit(scope: Scope, window: Window, capacity: i64) -> LimitState {
        let pool = Pool { used: Quantity::from_count(2), ..Pool::new(Unit::Requests, Quantity::from_count(capacity)) };
        let limit = Limit { id: LimitId::new(now(), [3; 10]), scope, window, hardness: Hardness::Hard, pool };
        LimitState { limit, whose: None, set_by: LimitSetter::Account }
    }

    fn page(limits: Vec<LimitState>, can_manage: bool) -> Keys {
        Keys {
            keys: vec![key("laptop", 1), key("production", 2), Key { revoked_at: Some(now()), ..key("old", 3) }],
            search: Search::default(),
            projects: vec![project("Default", 8)],
            limits,
            now: now(),
            revoked: None,
            can_manage,
            base_url: "http://127.0.0.1:8080/v1".to_owned(),
            without_credit: false,
            form: Form::default(),
        }
    }

    fn draw(page: &Keys) -> String {
        Owner::new().with(|| list(page, &Whose::Own).to_html())
    }

    fn html(limits: Vec<LimitState>, can_manage: bool) -> String {
        draw(&page(limits, can_manage))
    }

    fn new_html(projects: Vec<Project>, form: Form) -> String {
        let base_url = "http://127.0.0.1:8080/v1".to_owned();
        let page = NewKey {
            form,
            projects,
            models: vec!["small".to_owned()],
            fresh_key: None,
            base_url,
            without_credit: false,
            model: None,
            now: now(),
        };
        Owner::new().with(|| new(page).to_html())
    }

    #[test]
    fn each_limit_stands_with_what_it_bounds() {
        let laptop = Scope::Key(key("laptop", 1).id);
        let limits = vec![limit(Scope::Account, Window::Month, 9), limit(laptop.clone(), Window::Minute, 5), limit(laptop, Window::Day, 7)];
        let html = html(limits, true);
        let (keys, account) = html.split_once("Limits of the account").unwrap();
        let (of_laptop, of_others) = keys.split_once("production").unwrap();
        assert!(of_laptop.contains("2 of 5 requests this minute") && of_laptop.contains("2 of 7 requests today"), "{html}");
        assert!(!of_others.contains("2 of "), "{html}");
        assert!(account.contains("2 of 9 requests this month") && account.contains("/keys/account"), "{html}");
    }

    #[test]
    fn what_bounds_a_part_of_the_account_stands_with_the_accounts_limits_and_says_whose_it_is() {
        let of = |scope, whose: &str| LimitState { whose: Some(whose.to_owned()), ..limit(scope, Window::Month, 9) };
        let html =
            html(vec![of(Scope::Project(project("", 8).id), "Research"), of(Scope::Run("nightly".parse().unwrap()), "nightly")], true);
        let (keys, account) = html.split_once("Limits of the account").unwrap();
        assert!(!keys.contains("2 of "), "{html}");
        for (noun, whose) in [("project", "Research"), ("run", "nightly")] {
            let words = account.replace("<!>", "");
            let (_, name) = words.split_once(&format!("of the {noun} <a href=\"/calls?")).unwrap();
            assert!(name.split("</a>").next().unwrap().ends_with(&format!("<bdi>{whose}</bdi>")), "{whose}: {html}");
        }
    }

    #[test]
    fn a_key_names_its_project_where_there_are_several() {
        let mut page = page(vec![], true);
        assert!(!draw(&page).contains("Project"));
        page.projects.push(project("Research", 9));
        page.keys[0].project = page.projects[1].id;
        let html = draw(&page);
        let (_, rows) = html.split_once("<tbody").unwrap();
        let (laptop, production) = rows.split_once("production").unwrap();
        assert!(laptop.contains(r#"data-label="Project""#) && laptop.contains("Research"), "{html}");
        assert!(production.contains("Default") && !production.contains("Research"), "{html}");
    }

    #[test]
    fn a_key_says_below_its_name_whose_it_is_unless_it_is_nobodys() {
        let mut page = page(vec![], true);
        page.keys[0].member_email = Some("ada@example.com".to_owned());
        let html = draw(&page);
        let (laptop, others) = html.split_once("production").unwrap();
        assert!(laptop.contains(r#"<span class="by"><bdi>ada@example.com"#), "{html}");
        assert!(!others.contains(r#"class="by""#), "{html}");
    }

    #[test]
    fn a_key_that_may_not_call_every_model_says_which_below_its_name() {
        let mut page = page(vec![], true);
        page.keys[0].models = Some(["a", "b", "c", "d"].map(str::to_owned).to_vec());
        let html = draw(&page);
        let (laptop, others) = html.split_once("production").unwrap();
        assert!(laptop.contains(r#"<span class="by"><bdi>Only a, b, c and 1 more"#) && !others.contains("Only"), "{html}");
        assert!(new_html(vec![], Form::default()).contains("empty means every model. There is small."));
    }

    #[test]
    fn a_new_key_is_in_the_first_project_unless_another_is_chosen() {
        let (first, research) = (project("Default", 8), project("Research", 9));
        assert!(!new_html(vec![first.clone()], Form::default()).contains("field-project"));
        let chosen = |form| {
            let html = new_html(vec![first.clone(), research.clone()], form);
            let (before, _) = html.split_once(" selected").unwrap();
            before.rsplit('"').nth(1).unwrap().to_owned()
        };
        assert_eq!(chosen(Form::default()), first.id.to_string());
        let typed = [("project".to_owned(), research.id.to_string())].into();
        assert_eq!(chosen(Form { typed, ..Form::default() }), research.id.to_string());
    }

    #[test]
    fn a_project_that_is_none_is_told_of_at_its_field_though_there_is_nothing_to_choose() {
        let problem = Some(Problem { field: "project".to_owned(), message: "There is no such project.".to_owned() });
        let typed = [("project".to_owned(), "mine".to_owned())].into();
        let html = new_html(vec![project("Default", 8)], Form { typed, problem, ..Form::default() });
        assert!(html.contains(r#"id="field-project-problem""#) && html.contains(r#"<option value="mine" selected"#), "{html}");
    }

    #[test]
    fn what_was_revoked_is_told_of_though_it_is_not_on_the_page_and_a_search_that_finds_nothing_says_so() {
        let (mut page, mut none) = (page(vec![], true), vec![]);
        page.revoked = Some("earlier".to_owned());
        page.search = Search::narrow(Some("mobile".to_owned()), &mut none, |key: &Key| key.name.as_str());
        page.keys = none;
        let html = draw(&page).replace("<!>", "");
        for text in ["<bdi>earlier</bdi>”", "is revoked.", "No name contains “mobile”.", r#"role="search""#] {
            assert!(html.contains(text), "{text} is missing: {html}");
        }
        assert!(!html.contains("There is no key yet"), "{html}");
    }

    #[test]
    fn limits_are_set_by_who_may_and_of_keys_that_are_not_revoked() {
        let managed = html(vec![], true);
        assert!(managed.contains("Change settings of laptop") && managed.contains("See settings of old"), "{managed}");
        assert!(managed.contains("None. One would bound all keys together") && managed.contains("Set limits of the account"), "{managed}");
        let viewed = html(vec![], false);
        assert!(
            viewed.contains("See settings of laptop") && !viewed.contains("Change settings") && !viewed.contains("Set limits"),
            "{viewed}"
        );
    }
}
