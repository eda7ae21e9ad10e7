//! Refusals as answers.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use keyroom_api::{Code, Malformed, PROBLEM, Problem};
use keyroom_delivery::Refusal;

use crate::authenticate::Unauthenticated;

/// A problem on its way to the client.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Box<Problem>);

impl Refused {
    pub(crate) fn new(code: Code) -> Self {
        Self(Box::new(Problem::new(code)))
    }

    pub(crate) fn malformed(detail: impl ToString) -> Self {
        Self(Box::new(Problem::new(Code::Malformed).detail(detail)))
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(Box::new(refusal.into()))
    }
}

impl From<Malformed> for Refused {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Syntax(_) => Self::malformed(malformed),
            Malformed::Name(_) => Self(Box::new(Problem::new(Code::WrongName).detail(malformed))),
        }
    }
}

impl From<Unauthenticated> for Refused {
    fn from(error: Unauthenticated) -> Self {
        let code = match error {
            Unauthenticated::Missing | Unauthenticated::Invalid => Code::Unauthenticated,
            Unauthenticated::Expired => Code::SessionExpired,
        };
        Self(Box::new(Problem::new(code).detail(error)))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::BAD_REQUEST);
        // A problem is text and numbers: it always becomes JSON.
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = (status, body).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        let unavailable = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1);
        if let Some(seconds) = self.0.retry_after.or(unavailable) {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        // For whoever counts.
        response.extensions_mut().insert(self.0.code);
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
