//! Requests: what a client wants, or why it cannot be had.

/// Longest head of a request (its lines up to the empty one), in bytes.
pub const HEAD_BYTES: usize = 4096;
/// Header lines in a head, at most.
const MAX_HEADERS: usize = 48;

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A resource, or nothing but what its head would be.
    Get {
        /// Which one.
        what: Resource,
        /// The head alone.
        is_head: bool,
        /// The connection stays open for more.
        stays: bool,
    },
    /// Something that cannot be had.
    Bad(Status),
}

/// What there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The page.
    Page,
    /// The counters, for programs.
    Counters,
}

/// Status codes (RFC 9110, section 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Here it is.
    Ok,
    /// Not HTTP.
    BadRequest,
    /// No such resource.
    NotFound,
    /// Only GET and HEAD.
    MethodNotAllowed,
    /// Larger than [`HEAD_BYTES`].
    HeadTooLarge,
    /// The switch does not say.
    Unavailable,
}

impl Status {
    /// The code and its phrase.
    pub(crate) const fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::Unavailable => "503 Service Unavailable",
        }
    }
}

impl Request {
    /// The request that `bytes` begin with, and how many bytes it takes. `None` if it is not complete yet.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        match head.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => Some((understand(&head), length)),
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES => None,
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                Some((Self::Bad(Status::HeadTooLarge), bytes.len()))
            }
            Err(_) => Some((Self::Bad(Status::BadRequest), bytes.len())),
        }
    }
}

fn understand(head: &httparse::Request<'_, '_>) -> Request {
    let is_head = match head.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => return Request::Bad(Status::MethodNotAllowed),
    };
    // A body would be taken for the next request, so whoever sends one is refused.
    if header(head, "content-length").is_some_and(|value| value != b"0")
        || header(head, "transfer-encoding").is_some()
    {
        return Request::Bad(Status::BadRequest);
    }
    let path = head.path.unwrap_or_default();
    let what = match path.split('?').next() {
        Some("/" | "/index.html") => Resource::Page,
        Some("/counters.json") => Resource::Counters,
        _ => return Request::Bad(Status::NotFound),
    };
    let closes = header(head, "connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
    Request::Get { what, is_head, stays: head.version == Some(1) && !closes }
}

fn header<'a>(head: &httparse::Request<'_, 'a>, name: &str) -> Option<&'a [u8]> {
    head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}
