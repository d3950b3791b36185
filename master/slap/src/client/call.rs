//! One call: sent to the first address that can be connected to, its status and its body read.

use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Client;
use super::error::{AnswerError, CallError};
use crate::forms::Pairs;
use crate::v1::ApiError;

/// Longest answer that is read into memory.
const ANSWER_MAX_BYTES: usize = 32 << 20;

/// A call, before it is sent.
#[derive(Debug)]
pub(super) struct Call {
    method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    timeout: Option<Duration>,
    is_poll: bool,
}

impl Call {
    pub(super) fn new<const N: usize>(method: Method, path: [&str; N]) -> Self {
        Self {
            method,
            path: path.map(str::to_owned).into(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: None,
            timeout: None,
            is_poll: false,
        }
    }

    pub(super) fn get<const N: usize>(path: [&str; N]) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn query(mut self, key: &'static str, value: impl ToString) -> Self {
        self.query.push((key, value.to_string()));
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = value.parse() {
            self.headers.insert(name, value);
        }
        self
    }

    pub(super) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// A form to post.
    pub(super) fn form(path: &str, pairs: &Pairs) -> Self {
        let mut url = Url::parse("https://unused/").expect("a constant that is a URL");
        url.query_pairs_mut().extend_pairs(pairs);
        let mut call = Self::new(Method::POST, [path])
            .header(CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded");
        call.body = Some(url.query().unwrap_or_default().as_bytes().to_vec());
        call
    }

    /// JSON to post.
    pub(super) fn json<const N: usize>(path: [&str; N], body: &impl Serialize) -> Self {
        let mut call =
            Self::new(Method::POST, path).header(CONTENT_TYPE.as_str(), "application/json");
        call.body = Some(serde_json::to_vec(body).expect("our types become JSON"));
        call
    }

    /// A call that is held for long, on a connection for such.
    pub(super) fn held(mut self, timeout: Duration) -> Self {
        self.is_poll = true;
        self.timeout(timeout)
    }

    /// The same call by another method.
    pub(super) fn by(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    pub(super) fn extend_path<'a>(&mut self, segments: impl Iterator<Item = &'a str>) {
        self.path.extend(segments.map(str::to_owned));
    }

    fn url(&self, base: &Url) -> Url {
        let mut url = base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(&self.path);
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }

    fn name(&self) -> String {
        format!("{} /{}", self.method, self.path.join("/"))
    }
}

impl Client {
    /// Sends a call; returns an answer that is no refusal.
    ///
    /// The next address is tried only when nobody took the call: nothing is asked twice.
    pub(super) async fn send(&self, call: &Call) -> Result<Response, CallError> {
        let first = self.last_good.load(Ordering::Relaxed);
        let mut failure = None;
        for turn in 0..self.urls.len() {
            let index = (first + turn) % self.urls.len();
            let base = &self.urls[index];
            let http = if call.is_poll {
                &self.polls
            } else {
                &self.http
            };
            let mut request = http
                .request(call.method.clone(), call.url(base))
                .headers(call.headers.clone())
                .timeout(call.timeout.unwrap_or(self.timeout));
            if let Some(body) = &call.body {
                request = request.body(body.clone());
            }
            match request.send().await {
                Ok(response) => {
                    self.last_good.store(index, Ordering::Relaxed);
                    return accepted(response).await;
                }
                Err(err) => {
                    let next_may_answer = err.is_connect();
                    let error = CallError::unanswered(base, err);
                    if !next_may_answer {
                        return Err(error);
                    }
                    failure = Some(more_telling(failure, error));
                }
            }
        }
        Err(failure.expect("a client has an address"))
    }

    /// Returns the address that answered last.
    pub(super) fn answering(&self) -> &Url {
        &self.urls[self.last_good.load(Ordering::Relaxed)]
    }

    pub(super) async fn text(&self, call: &Call) -> Result<String, CallError> {
        text_of(call, self.send(call).await?).await
    }

    pub(super) async fn answer<T: DeserializeOwned>(&self, call: &Call) -> Result<T, CallError> {
        let text = self.text(call).await?;
        serde_json::from_str(&text).map_err(|err| bad_answer(call, err))
    }
}

pub(super) async fn text_of(call: &Call, answer: Response) -> Result<String, CallError> {
    let bytes = body(answer).await?;
    String::from_utf8(bytes).map_err(|_| CallError::BadAnswer {
        call: call.name(),
        err: AnswerError::Other("not UTF-8"),
    })
}

pub(super) fn bad_answer(call: &Call, err: impl Into<AnswerError>) -> CallError {
    CallError::BadAnswer {
        call: call.name(),
        err: err.into(),
    }
}

/// Somebody else's certificate says more than a silent address.
fn more_telling(known: Option<CallError>, new: CallError) -> CallError {
    match known {
        Some(known) if matches!(known, CallError::TlsRefused { .. }) => known,
        Some(_) | None => new,
    }
}

/// Returns the answer, or the error that its status means.
pub(super) async fn accepted(response: Response) -> Result<Response, CallError> {
    let status = response.status();
    if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(response);
    }
    let text = body(response).await.unwrap_or_default();
    Err(CallError::of_status(status, api_error(status, &text)))
}

/// SLAP's own refusals are plain text, or a page.
fn api_error(status: StatusCode, body: &[u8]) -> ApiError {
    if let Ok(error) = serde_json::from_slice(body) {
        return error;
    }
    let text = String::from_utf8_lossy(body);
    let line = text.trim().lines().next().unwrap_or_default();
    let is_prose = !line.is_empty() && !line.starts_with('<');
    let reason = status.canonical_reason().unwrap_or("no reason given");
    ApiError {
        error: format!("status_{}", status.as_u16()),
        message: if is_prose {
            line.chars().take(400).collect()
        } else {
            reason.to_lowercase()
        },
    }
}

async fn body(mut response: Response) -> Result<Vec<u8>, CallError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(CallError::Cut)? {
        if bytes.len() + chunk.len() > ANSWER_MAX_BYTES {
            return Err(CallError::TooLong(ANSWER_MAX_BYTES));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
