//! A form with files in it, from an operator: of anybody else not one byte of it is read.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    extract::{FromRequest, Multipart, Request, multipart::MultipartError},
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{Console, Refusal, Submission, Visitor};
use crate::error::ConsoleError;

/// No form with files is larger.
pub const UPLOAD_MAX: usize = 16 << 20;

/// A form, and the files that were chosen in it.
pub(crate) struct Upload {
    pub(crate) submission: Submission,
    files: BTreeMap<String, Bytes>,
}

impl Upload {
    /// The text of a file, if one was chosen.
    pub(crate) fn file(&self, field: &'static str) -> Result<Option<&str>, Refusal> {
        let Some(bytes) = self.files.get(field).filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
        std::str::from_utf8(bytes).map(Some).map_err(|_| Refusal::field(field, "This is no text in UTF-8."))
    }
}

impl FromRequest<Console> for Upload {
    type Rejection = Response;

    async fn from_request(request: Request, console: &Console) -> Result<Self, Response> {
        if let Some(outage) = request.extensions().get::<ConsoleError>() {
            return Err((StatusCode::SERVICE_UNAVAILABLE, format!("{outage}\n")).into_response());
        }
        let (parts, body) = request.into_parts();
        let Some(visitor) = parts.extensions.get::<Visitor>().cloned() else {
            return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        };
        let submission = |fields| Submission::of(console, &visitor, fields, parts.clone());
        let nothing = submission(BTreeMap::new());
        if let Err(error) = nothing.caller().operator().await {
            return Err(nothing.answer(Err(error.into())).await);
        }
        let multipart =
            Multipart::from_request(Request::from_parts(parts.clone(), body), console).await.map_err(IntoResponse::into_response)?;
        match read(multipart).await {
            Ok((fields, files)) => Ok(Self { submission: submission(fields), files }),
            Err(error) => {
                let problem = format!("The form did not come through: {}. A file may have 16 MiB.", error.body_text());
                let refusal = Refusal::Form(error.status(), crate::parts::form::Problem::new("", problem));
                Err(nothing.answer(Err(refusal)).await)
            }
        }
    }
}

type Parts = (BTreeMap<String, String>, BTreeMap<String, Bytes>);

async fn read(mut multipart: Multipart) -> Result<Parts, MultipartError> {
    let (mut fields, mut files) = (BTreeMap::new(), BTreeMap::new());
    while let Some(field) = multipart.next_field().await? {
        let name = field.name().unwrap_or_default().to_owned();
        if field.file_name().is_some() {
            // What is wrong with a file is said at its field, which has no text to come back with.
            fields.insert(name.clone(), String::new());
            files.insert(name, field.bytes().await?);
        } else {
            fields.insert(name, field.text().await?);
        }
    }
    Ok((fields, files))
}
