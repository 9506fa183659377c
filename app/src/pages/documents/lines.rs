//! What a document and a statement say, line by line: the same on the page, in the table file and in the PDF.

use domain::{
    document::{Buyer, Document, DocumentKind, Seller},
    money::Amount,
    monthly::{Holdings, KindSum, MonthlyStatement},
    period::Step,
    usage::Totals,
};

use crate::parts::{money, time};

/// Whoever sells or buys, and what they say of themselves, line by line.
pub(super) type Party = (&'static str, Vec<String>);

/// Who sold a document, and who bought.
pub(super) fn parties(document: &Document) -> [Party; 2] {
    [from(&document.seller), of_buyer("To", &document.buyer)]
}

/// Who sells, if anybody has said so, and whose the statement is.
pub(super) fn statement_parties(seller: Option<&Seller>, buyer: &Buyer) -> Vec<Party> {
    seller.map(from).into_iter().chain([of_buyer("Account", buyer)]).collect()
}

fn from(seller: &Seller) -> Party {
    ("From", said([&seller.name, &seller.address], &seller.tax_id))
}

fn of_buyer(name: &'static str, buyer: &Buyer) -> Party {
    (name, said([&buyer.name, &buyer.address, &buyer.email], &buyer.tax_id))
}

fn said<const N: usize>(lines: [&str; N], tax_id: &str) -> Vec<String> {
    let tax_id = if tax_id.is_empty() { String::new() } else { format!("Tax ID {tax_id}") };
    lines.into_iter().map(str::to_owned).chain([tax_id]).filter(|line| !line.is_empty()).collect()
}

/// When, and in which posting.
pub(super) fn facts(document: &Document) -> Vec<(&'static str, String)> {
    let moved = match document.kind {
        DocumentKind::Receipt => "Paid",
        DocumentKind::Invoice => "Paid from the balance",
        DocumentKind::CreditNote => "Paid back",
    };
    let about = document
        .about
        .clone()
        .map(|number| if document.kind == DocumentKind::Receipt { ("Restores", number) } else { ("Lessens", number) });
    let day = |at| format!("{} UTC", time::minute(at));
    [("Issued", day(document.issued_at)), (moved, day(document.posted_at))]
        .into_iter()
        .chain(about)
        .chain([("Posting in the journal", format!("No. {}", document.posting))])
        .collect()
}

/// What it is for.
pub(super) fn purpose(document: &Document) -> String {
    let what = match document.kind {
        DocumentKind::Receipt if document.about.is_some() => "Payment that was disputed, received again",
        DocumentKind::Receipt => "Payment into the balance",
        DocumentKind::Invoice => "Plan or package",
        DocumentKind::CreditNote if document.about.is_some() => "Payment that went back",
        DocumentKind::CreditNote => "Payment out of the balance",
    };
    if document.purpose.is_empty() { what.to_owned() } else { format!("{what}: {}", document.purpose) }
}

/// What the total consists of, net and tax. An invoice, which was paid from the balance, names no tax: a rate of nothing would read as one of its own.
pub(super) fn parts(document: &Document) -> Vec<(String, String)> {
    if document.kind == DocumentKind::Invoice {
        return Vec::new();
    }
    let label = format!("{} {} %", document.tax_label, document.tax_rate);
    vec![("Net".to_owned(), money::exact(document.sum.net)), (label, money::exact(document.sum.tax))]
}

/// What moved in all.
pub(super) fn total(document: &Document) -> (String, String) {
    let name = if document.kind == DocumentKind::CreditNote { "Total credit" } else { "Total paid" };
    (name.to_owned(), money::exact(document.sum.gross))
}

/// How the tax was found.
pub(super) fn rule(document: &Document) -> String {
    if document.kind == DocumentKind::Invoice {
        return "The amounts are in US dollars. It was paid from the balance: the tax is on the receipts of what was paid into that."
            .to_owned();
    }
    if document.tax_rate.bps() == 0 {
        return "The amounts are in US dollars. No tax is contained in them.".to_owned();
    }
    let rate = document.tax_rate;
    format!(
        "The amounts are in US dollars. The tax is contained in the total: total × {rate} ÷ (100 + {rate}), rounded half up to the cent."
    )
}

/// What it is called.
pub(super) fn title(document: &Document) -> String {
    format!("{} {}", document.kind.label(), document.number)
}

/// What a statement is called.
pub(super) fn statement_title(statement: &MonthlyStatement) -> String {
    let month = time::step(statement.month.range().from, Step::Month);
    let so_far = if statement.is_closed { "" } else { ", so far" };
    format!("Statement of {month}{so_far}")
}

/// What can still change of it.
pub(super) fn state(statement: &MonthlyStatement) -> &'static str {
    if statement.is_closed {
        "This month is closed, and its figures never change: what is posted later stands in a later statement. Amounts are in US dollars, times are UTC."
    } else {
        "This month is not closed: it has what is posted so far. Amounts are in US dollars, times are UTC."
    }
}

/// The amounts of its movements, one below the other.
pub(super) fn movements(statement: &MonthlyStatement) -> Vec<String> {
    even(statement.movements.iter().map(|movement| moved(movement.change)).collect())
}

/// Money, and tokens where there are any.
fn moved(change: Holdings) -> String {
    match (change.money, change.tokens) {
        (money, 0) => money::movement(money),
        (Amount::ZERO, tokens) => money::tokens_moved(tokens),
        (money, tokens) => format!("{}, {}", money::movement(money), money::tokens_moved(tokens)),
    }
}

/// What is there of both.
pub(super) fn held(there: Holdings) -> String {
    if there.tokens == 0 { money::exact(there.money) } else { format!("{}, {}", money::exact(there.money), money::tokens(there.tokens)) }
}

/// How the balance came from what it was to what it is.
pub(super) fn balance(statement: &MonthlyStatement) -> Vec<(String, String)> {
    let range = statement.month.range();
    let end = if statement.is_closed { format!("Closing balance, {}", time::minute(range.to)) } else { "Balance so far".to_owned() };
    let change = |sum: &KindSum| {
        let count = if sum.postings == 1 { "1 posting".to_owned() } else { format!("{} postings", money::grouped(sum.postings)) };
        (format!("{} ({count})", sum.kind.label()), moved(sum.change))
    };
    let opening = (format!("Opening balance, {}", time::minute(range.from)), held(statement.opening));
    let closing = (end, held(statement.closing));
    evenly(std::iter::once(opening).chain(statement.changes.iter().map(change)).chain([closing]).collect())
}

/// What nobody paid.
pub(super) fn written_off(amount: Amount) -> String {
    format!("{} of what calls cost exceeded what was held for them, and nobody paid it.", money::exact(amount))
}

/// What is said of sums over calls: calls, prompt, completion and total tokens, cost, row by row. Costs have as many decimals as the longest of them, so
/// that their points stand below each other.
pub(super) fn counts(rows: &[&Totals]) -> Vec<[String; 5]> {
    let costs = rows.iter().map(|totals| money::exact(totals.amount)).collect();
    let row = |(totals, cost): (&&Totals, String)| {
        let [prompt, completion, total] =
            [totals.prompt_tokens, totals.completion_tokens, totals.total_tokens].map(|tokens| money::grouped(tokens.get()));
        [money::grouped(totals.requests), prompt, completion, total, cost]
    };
    rows.iter().zip(even(costs)).map(row).collect()
}

/// The headings of [`counts`].
pub(super) const COUNTED: [&str; 5] = ["Calls", "Prompt tokens", "Completion tokens", "Total tokens", "Cost"];

/// Amounts of money with as many decimals as the longest of them: zeros, which change none. What else stands among them stays as it is.
fn even(column: Vec<String>) -> Vec<String> {
    let decimals =
        |text: &str| text.rsplit_once('.').map(|(_, part)| part.len()).filter(|_| !text.ends_with(|last: char| !last.is_ascii_digit()));
    let longest = column.iter().filter_map(|text| decimals(text)).max().unwrap_or_default();
    let pad = |text: String| match decimals(&text) {
        Some(count) => text + &"0".repeat(longest - count),
        None => text,
    };
    column.into_iter().map(pad).collect()
}

/// The second of each pair, so.
fn evenly(pairs: Vec<(String, String)>) -> Vec<(String, String)> {
    let (names, amounts): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    names.into_iter().zip(even(amounts)).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::{
        billing::{JournalKind, PostingNumber},
        document::TaxRate,
        monthly::{Movement, Used},
    };

    use super::*;

    fn seller() -> Seller {
        Seller {
            version: 1,
            name: "Example Ltd".to_owned(),
            address: "1 High Street".to_owned(),
            tax_id: "GB 123".to_owned(),
            tax_label: "VAT".to_owned(),
            tax_rate: "20".parse().unwrap(),
            prefix: String::new(),
            set_at: "2026-11-23T10:00:00Z".parse().unwrap(),
            set_by: "ada@example.com".to_owned(),
        }
    }

    #[test]
    fn a_statement_says_who_sells_once_somebody_has_said_so() {
        let buyer = Buyer { name: "Ada".to_owned(), email: "ada@example.com".to_owned(), ..Buyer::default() };
        let party = |name, lines: &[&str]| (name, lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
        let account = party("Account", &["Ada", "ada@example.com"]);
        assert_eq!(statement_parties(None, &buyer), std::slice::from_ref(&account));
        let from = party("From", &["Example Ltd", "1 High Street", "Tax ID GB 123"]);
        assert_eq!(statement_parties(Some(&seller()), &buyer), [from, account]);
    }

    #[test]
    fn an_invoice_names_no_tax_and_what_was_paid_in_does() {
        let (seller, at) = (seller(), "2026-11-23T10:00:00Z".parse().unwrap());
        let document = |kind, tax_rate: TaxRate| Document {
            kind,
            number: "X-2026-000001".to_owned(),
            posting: PostingNumber::from_count(1),
            about: None,
            posted_as: JournalKind::TopUp,
            purpose: String::new(),
            sum: tax_rate.contained_in("30".parse().unwrap()),
            tax_rate,
            tax_label: seller.tax_label.clone(),
            seller: seller.clone(),
            buyer: Buyer::default(),
            posted_at: at,
            issued_at: at,
        };
        let invoice = document(DocumentKind::Invoice, TaxRate::NONE);
        assert_eq!(parts(&invoice), []);
        assert_eq!(total(&invoice), ("Total paid".to_owned(), "$30.00".to_owned()));
        assert!(rule(&invoice).contains("the tax is on the receipts"), "{}", rule(&invoice));
        let pairs = [("Net", "$25.00"), ("VAT 20 %", "$5.00")].map(|(name, amount)| (name.to_owned(), amount.to_owned()));
        assert_eq!(parts(&document(DocumentKind::Receipt, seller.tax_rate)), pairs);
    }

    #[test]
    fn the_points_of_movements_stand_below_each_other() {
        let movement = |amount: &str, tokens| Movement {
            number: PostingNumber::from_count(1),
            kind: JournalKind::TopUp,
            memo: String::new(),
            posted_at: "2026-11-23T10:00:00Z".parse().unwrap(),
            change: Holdings { money: amount.parse().unwrap(), tokens },
        };
        let statement = MonthlyStatement {
            month: "2026-11".parse().unwrap(),
            is_closed: true,
            opening: Holdings::default(),
            closing: Holdings::default(),
            changes: vec![],
            movements: vec![movement("25", 0), movement("-0.0123", 0), movement("0", 1_000)],
            has_more: false,
            used: Used::default(),
            late: Used::default(),
        };
        assert_eq!(movements(&statement), ["+$25.0000", "−$0.0123", "+1,000 tokens"]);
    }

    #[test]
    fn points_stand_below_each_other_and_no_amount_changes() {
        let column = ["$15.0972124", "−$14.90", "+$20.00", "+1,000 tokens", "$1.00, 5 tokens"].map(str::to_owned);
        assert_eq!(even(column.into()), ["$15.0972124", "−$14.9000000", "+$20.0000000", "+1,000 tokens", "$1.00, 5 tokens"]);
        assert_eq!(even(vec![]), [] as [&str; 0]);
    }
}
