use domain::{account::ReportKeyLine, key::ReportKey};
use leptos::prelude::*;

use super::{PATH, page::ReportKeys};
use crate::{
    pages::keys::FreshKey,
    parts::{
        confirm::confirm,
        form::{Field, Form, Tone, hidden, notice, notice_of},
        layout::{empty, foreign, head, quoted, section, stack},
        table::{
            Column,
            Kind::{Action, Code, Moment, Words},
            Row, link, name, table, text,
        },
        time,
    },
};

/// The report keys, and the form of a new one.
pub(crate) fn report_keys(page: &ReportKeys) -> AnyView {
    let ReportKeys { keys, fresh, revoked, can_manage, base_url, form } = page;
    let about = stack(vec![
        text("Each reads this account's usage and costs for a program, in the shape of OpenAI's APIs, and opens nothing else. "),
        link("/keys".to_owned(), "Keys that call models"),
    ]);
    let done = revoked.as_deref().map(|name| notice_of(Tone::Good, quoted(name, " is revoked: it reads nothing more.")));
    let list = if keys.is_empty() { empty("There is no report key yet.", ()) } else { keys_table(keys, *can_manage) };
    let create =
        if *can_manage { new_form(form) } else { notice(Tone::Plain, "Only an owner of this account makes and revokes report keys.") };
    stack(vec![
        head("Report keys", about, ()),
        done.into_any(),
        fresh.as_ref().map(show_once).into_any(),
        list,
        section("New report key", create),
        section("How to ask", asking(base_url, fresh.as_ref())),
    ])
}

fn keys_table(keys: &[ReportKeyLine], can_manage: bool) -> AnyView {
    const COLUMNS: [Column; 5] =
        [Column("Name", Words), Column("Key", Code), Column("State", Words), Column("Created", Moment), Column("Revoke", Action)];
    table("cards", &COLUMNS, keys.iter().map(|key| row(key, can_manage)).collect(), None)
}

fn row(key: &ReportKeyLine, can_manage: bool) -> Row {
    let state = key.revoked_at.map_or_else(|| "Works".to_owned(), |at| format!("Revoked {}", time::day(at)));
    let action = if can_manage && key.revoked_at.is_none() { revoke(key) } else { ().into_any() };
    let cells = vec![
        name(&key.name),
        view! { <code>{ReportKey::masked(&key.last_four)}</code> }.into_any(),
        text(state),
        time::time_view(key.created_at, time::day(key.created_at)),
        action,
    ];
    Row { cells, faded: key.revoked_at.is_some() }
}

/// Asks once and names the key.
fn revoke(key: &ReportKeyLine) -> AnyView {
    let form = view! {
        <form method="post" action=PATH>
            {hidden("revoke", key.id.to_string())}
            <p>"Reports with "{quoted(&key.name, " are refused from then on. This cannot be undone.")}</p>
            <button class="danger"><span>"Revoke "{foreign(&key.name)}" for good"</span></button>
        </form>
    };
    confirm(format!("revoke-{}", key.id), "Revoke", format!("Revoke {}", key.name), form.into_any())
}

fn new_form(form: &Form) -> AnyView {
    view! {
        <form class="row-form" method="post" action=PATH>
            {form.once_field()}
            {form.problem_view()}
            {Field::new("text", "name", "Name").hint("What reads with it: “bookkeeping”, “dashboard”.").required().view(form)}
            <button class="primary">"Create report key"</button>
        </form>
    }
    .into_any()
}

fn show_once(key: &FreshKey) -> AnyView {
    let words = view! { {quoted(&key.name, " is ready. Copy it now: it is shown only this once, and works until it is revoked.")} };
    let secret = view! { <div class="secret"><code>{key.secret.clone()}</code></div> };
    stack(vec![notice_of(Tone::Good, words.into_any()), secret.into_any()])
}

fn asking(base_url: &str, fresh: Option<&FreshKey>) -> AnyView {
    let secret = fresh.map_or("REPORT_KEY", |key| key.secret.as_str());
    let code = |path: &str| {
        format!(
            "curl -G {base_url}/organization/{path} \\\n  -H \"Authorization: Bearer {secret}\" \\\n  -d start_time=$(date -ud '7 days ago' +%s)"
        )
    };
    let snippet = |label: &'static str, code: String| {
        view! {
            <div class="snippet">
                <div class="snippet-head"><h3>{label}</h3></div>
                <pre tabindex="0" role="region" aria-label=label><code>{code}</code></pre>
            </div>
        }
        .into_any()
    };
    stack(vec![
        snippet("Tokens and requests by day and model", format!("{} \\\n  -d group_by=model", code("usage/completions"))),
        snippet("Costs by day", code("costs")),
    ])
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::id::ReportKeyId;

    use super::*;

    fn html(can_manage: bool, fresh: bool) -> String {
        let created_at = "2026-11-23T10:04:05Z".parse().unwrap();
        let key = |number, revoked_at| ReportKeyLine {
            id: ReportKeyId::new(created_at, [number; 10]),
            name: format!("<b>{number}"),
            last_four: "abcd".to_owned(),
            created_at,
            revoked_at,
        };
        let page = ReportKeys {
            keys: vec![key(1, None), key(2, Some(created_at))],
            fresh: fresh.then(|| FreshKey { name: "books".to_owned(), secret: "rk-fb_secret".to_owned(), models: None, expires_at: None }),
            revoked: None,
            can_manage,
            base_url: "http://127.0.0.1:8080/v1".to_owned(),
            form: Form { once: "0".to_owned(), ..Form::default() },
        };
        Owner::new().with(|| report_keys(&page).to_html())
    }

    #[test]
    fn a_key_is_shown_whole_only_when_it_was_just_made() {
        assert!(html(true, true).contains(r#"<div class="secret"><code>rk-fb_secret"#));
        let later = html(true, false);
        assert!(!later.contains("rk-fb_secret") && later.contains("rk-fb_…abcd") && !later.contains("<b>"), "{later}");
    }

    #[test]
    fn only_an_owner_makes_and_revokes_and_nobody_revokes_twice() {
        let owner = html(true, false);
        assert_eq!((owner.matches("<form").count(), owner.matches(r#"name="revoke""#).count()), (2, 1), "{owner}");
        let member = html(false, false);
        assert!(!member.contains("<form") && member.contains("Only an owner"), "{member}");
    }
}
