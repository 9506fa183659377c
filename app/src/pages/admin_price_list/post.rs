use std::collections::HashSet;

use axum::{http::StatusCode, response::Response};
use domain::{
    catalog::Model,
    id::{ModelId, PriceId},
    price_history::LEAD_MIN,
    price_list::{Glob, Imported, MARKUP_MAX, PriceList, Sides, Start, Wish, import},
};
use ledger::{NewPrice, PriceBook};

use super::{
    page::ListReview,
    review::{self, PostedPrice},
    view,
};
use crate::{
    error::ConsoleError,
    parts::form::Problem,
    server::{FormAnswer, Refusal, Submission, Upload, incomplete, see_other},
};

/// `POST /admin/pricing/import`: compares a list with what is in force, or publishes what was compared.
pub(crate) async fn take(upload: Upload) -> Response {
    if !upload.submission.raw(view::CHANGES).is_empty() {
        let outcome = publish(&upload.submission).await;
        return upload.submission.answer(outcome).await;
    }
    match compare(&upload).await {
        Ok(review) => {
            let form = upload.submission.form();
            upload.submission.render(StatusCode::OK, FormAnswer { form, list_review: Some(review), ..FormAnswer::default() }).await
        }
        Err(refusal) => upload.submission.answer(Err(refusal)).await,
    }
}

async fn compare(upload: &Upload) -> Result<ListReview, Refusal> {
    let (submission, caller) = (&upload.submission, upload.submission.caller());
    let operator = caller.operator().await?;
    let list = read(upload, view::LIST).await?.ok_or_else(|| Refusal::field(view::LIST, "Choose the file of a price list."))?;
    let against = read(upload, view::AGAINST).await?;
    let provider = Some(submission.text(view::PROVIDER)).filter(|name| !name.is_empty());
    if let Some(name) = provider
        && !list.entries.iter().any(|entry| entry.provider.eq_ignore_ascii_case(name))
    {
        return Err(Refusal::field(view::PROVIDER, "The list has no provider of this name."));
    }
    let models: Vec<Glob> = names(submission.text(view::MODELS)).filter_map(|glob| glob.parse().ok()).collect();
    let accepted: Vec<String> = names(submission.text(view::ACCEPTED)).map(str::to_owned).collect();
    // By either clock: proxies go by the database's.
    let now = caller.console.ledger.clock().await.map_err(ConsoleError::from)?.max(submission.visitor.now);
    let sold: Vec<_> = operator.priced_models(now).await?.into_iter().map(|priced| priced.model).collect();
    if let Some(unknown) = accepted.iter().find(|name| !sold.iter().any(|model| model.name == **name)) {
        return Err(Refusal::field(view::ACCEPTED, format!("There is no model {unknown}.")));
    }
    let book = operator.price_book().await?;
    let start = Start { first: now, later: now + LEAD_MIN };
    let wish = Wish { provider, models: &models, sides: sides(submission)?, accepted: &accepted, against: against.as_ref(), start };
    let import = import(&list, &sold, &book.versions, &wish);
    let is_changed = |model: &&Imported| model.sides.iter().any(|side| !side.plan.changes.is_empty());
    let concerned = ids(&sold, import.models.iter().filter(is_changed).map(|model| model.model.as_str()));
    Ok(review::review(&list, &import, &book, &concerned, start, || PriceId::new(now, rand::random())))
}

/// The list in this field, if there is one. It is read beside what answers requests: a list has some megabytes.
async fn read(upload: &Upload, field: &'static str) -> Result<Option<PriceList>, Refusal> {
    let Some(text) = upload.file(field)?.map(str::to_owned) else { return Ok(None) };
    let list = tokio::task::spawn_blocking(move || PriceList::read(&text, None)).await;
    let list = list.map_err(|_| ConsoleError::Unavailable)?;
    list.map(Some).map_err(|error| Refusal::field(field, format!("This {error}.")))
}

fn sides(submission: &Submission) -> Result<Sides, Refusal> {
    if submission.text(view::SIDES) != view::BOTH {
        return Ok(Sides::Cost);
    }
    let markup = match submission.text(view::MARKUP) {
        "" => Some(0),
        typed => typed.parse().ok().filter(|markup| *markup <= MARKUP_MAX),
    };
    let problem = "Write a whole number of basis points, from 0 to 1000000: 2000 is 20 %.";
    markup.map(Sides::SaleAndCost).ok_or_else(|| Refusal::field(view::MARKUP, problem))
}

fn names(typed: &str) -> impl Iterator<Item = &str> {
    typed.split(',').map(str::trim).filter(|name| !name.is_empty())
}

async fn publish(submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let operator = caller.operator().await?;
    let posted: Vec<PostedPrice> = serde_json::from_str(submission.raw(view::CHANGES)).map_err(|_| incomplete())?;
    let now = caller.console.ledger.clock().await.map_err(ConsoleError::from)?.max(submission.visitor.now);
    let book = operator.price_book().await?;
    let done = see_other(&format!("{}?published={}", view::ADDRESS, posted.len()));
    // A form that comes a second time publishes nothing, and finds its own prices.
    if are_published(&book, &posted) {
        return Ok(done);
    }
    let sold: Vec<_> = operator.priced_models(now).await?.into_iter().map(|priced| priced.model).collect();
    if book.stamp(&ids(&sold, posted.iter().map(|price| price.model.as_str()))) != submission.text(view::SEEN) {
        let message = "Somebody wrote a price since this was compared, so that nothing was published. Compare the list again.";
        return Err(Refusal::Form(StatusCode::CONFLICT, Problem::new("", message)));
    }
    let soonest = |price: &PostedPrice| if is_priced(&book, &sold, price) { now + LEAD_MIN } else { now };
    let actor = caller.actor()?;
    let mut prices = Vec::with_capacity(posted.len());
    for price in &posted {
        let effective_from = price.from.unwrap_or_else(|| soonest(price));
        prices.push(NewPrice {
            id: price.id,
            model: &price.model,
            kind: price.kind,
            rates: price.rates.clone(),
            effective_from,
            actor,
            now,
            service_tier: price.service_tier,
        });
    }
    match operator.import_prices(&book, &prices).await {
        Ok(()) => Ok(done),
        // The first of two clicks may have been on its way when the second one looked.
        Err(_) if are_published(&operator.price_book().await?, &posted) => Ok(done),
        Err(error) => Err(error.into()),
    }
}

fn are_published(book: &PriceBook, posted: &[PostedPrice]) -> bool {
    !posted.is_empty() && posted.iter().all(|price| book.versions.iter().any(|version| version.id == price.id))
}

/// The ids of the models of these names.
fn ids<'a>(sold: &[Model], names: impl Iterator<Item = &'a str>) -> HashSet<ModelId> {
    names.filter_map(|name| sold.iter().find(|model| model.name == name)).map(|model| model.id).collect()
}

/// Whether this side of the model ever had a price.
fn is_priced(book: &PriceBook, sold: &[Model], price: &PostedPrice) -> bool {
    let model = sold.iter().find(|model| model.name == price.model).map(|model| model.id);
    book.versions
        .iter()
        .any(|version| Some(version.model_id) == model && (version.kind, version.service_tier) == (price.kind, price.service_tier))
}
