//! Requests: what a client wants, or why it cannot be had (RFC 9110, 9112).

use alloc::vec::Vec;

/// Longest head of a request (its lines up to the empty one), in bytes.
pub const HEAD_BYTES: usize = 4096;
/// Header lines in a head, at most.
const MAX_HEADERS: usize = 48;
/// Longest body that is passed over; nothing here has a use for one.
const MAX_BODY_BYTES: u64 = 64 << 10;

/// What a client wants, and what becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What there is, or why there is nothing.
    pub what: Result<Resource, Status>,
    /// The head of the answer alone.
    pub is_head: bool,
    /// The connection stays open for more.
    pub stays: bool,
    /// Bytes of a body, which come before the next request.
    pub body_bytes: u64,
}

/// A resource that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The page.
    Page,
    /// The counters, for programs.
    Counters,
    /// The domains, and what a monitor has decided, for programs.
    System,
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
    /// No request came in time.
    Timeout,
    /// The body is too long.
    ContentTooLarge,
    /// The first line alone is larger than [`HEAD_BYTES`].
    UriTooLong,
    /// Larger than [`HEAD_BYTES`].
    HeadTooLarge,
    /// A method, or a way to send a body, that is not known here.
    NotImplemented,
    /// The switch, the manager or the monitor does not say.
    Unavailable,
    /// Another version of HTTP.
    Version,
}

impl Status {
    /// The code and its phrase.
    pub(crate) const fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::Timeout => "408 Request Timeout",
            Self::ContentTooLarge => "413 Content Too Large",
            Self::UriTooLong => "414 URI Too Long",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::NotImplemented => "501 Not Implemented",
            Self::Unavailable => "503 Service Unavailable",
            Self::Version => "505 HTTP Version Not Supported",
        }
    }
}

impl Request {
    /// The request that `bytes` begin with, and how many bytes it takes. `None` if it is not complete yet.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        let status = match head.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => return Some((Self::understand(&head), length)),
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES => return None,
            Ok(httparse::Status::Partial) if !has_first_line(bytes) => Status::UriTooLong,
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => Status::HeadTooLarge,
            // Which one it is, the whole line says.
            Err(httparse::Error::Version) if !has_first_line(bytes) && bytes.len() < HEAD_BYTES => {
                return None;
            }
            Err(httparse::Error::Version) => match version(bytes) {
                Some([b'1', minor]) if minor > b'1' => return Self::parse(&as_known(bytes)),
                Some([b'1', _]) | None => Status::BadRequest,
                Some(_) => Status::Version,
            },
            Err(_) => Status::BadRequest,
        };
        let is_head = bytes.trim_ascii_start().starts_with(b"HEAD ");
        Some((Self::bad(status, is_head), bytes.len()))
    }

    /// One after which nobody knows where the next one begins.
    const fn bad(status: Status, is_head: bool) -> Self {
        Self { what: Err(status), is_head, stays: false, body_bytes: 0 }
    }

    fn understand(head: &httparse::Request<'_, '_>) -> Self {
        let is_head = head.method == Some("HEAD");
        let (body_bytes, ends_somewhere) = match body(head) {
            Ok(body) => body,
            Err(status) => return Self::bad(status, is_head),
        };
        let is_new = head.version == Some(1);
        if !has_good_host(head, is_new) {
            return Self::bad(Status::BadRequest, is_head);
        }
        Self {
            what: target(head),
            is_head,
            stays: is_new && ends_somewhere && !tokens(head, "connection").any(|token| is(token, "close")),
            body_bytes,
        }
    }
}

/// What the first line asks for.
fn target(head: &httparse::Request<'_, '_>) -> Result<Resource, Status> {
    match head.method {
        Some("GET" | "HEAD") => {}
        Some("POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS" | "TRACE" | "CONNECT") => {
            return Err(Status::MethodNotAllowed);
        }
        _ => return Err(Status::NotImplemented),
    }
    let path = path(head.path.unwrap_or_default()).ok_or(Status::BadRequest)?;
    match path.split('?').next() {
        Some("/" | "/index.html") => Ok(Resource::Page),
        Some("/counters.json") => Ok(Resource::Counters),
        Some("/status.json") => Ok(Resource::System),
        _ => Err(Status::NotFound),
    }
}

/// The path of a target, which may be an absolute URI, too (RFC 9112, section 3.2).
fn path(target: &str) -> Option<&str> {
    if target.starts_with('/') {
        return Some(target);
    }
    let (scheme, rest) = target.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let is_http = is(scheme.as_bytes(), "http") || is(scheme.as_bytes(), "https");
    if !is_http || authority.is_empty() || !is_host(authority.as_bytes()) {
        return None;
    }
    Some(if path.starts_with('/') { path } else { "/" })
}

/// Whether the one host is named that HTTP/1.1 demands (RFC 9112, section 3.2).
fn has_good_host(head: &httparse::Request<'_, '_>, is_new: bool) -> bool {
    let mut hosts = values(head, "host");
    match (hosts.next(), hosts.next()) {
        (None, _) => !is_new,
        (Some(host), None) => is_host(host),
        (Some(_), Some(_)) => false,
    }
}

/// Whether this can be a host and its port (RFC 3986, section 3.2).
fn is_host(host: &[u8]) -> bool {
    host.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(byte))
}

/// How long the request's body is, and whether what follows it can be found (RFC 9112, section 6.3).
fn body(head: &httparse::Request<'_, '_>) -> Result<(u64, bool), Status> {
    let mut lengths = values(head, "content-length");
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => None,
        (Some(length), None) => Some(number(length).ok_or(Status::BadRequest)?),
        (Some(_), Some(_)) => return Err(Status::BadRequest),
    };
    match (values(head, "transfer-encoding").next(), length) {
        // Two ways to tell the length are one too many: somebody may believe the other one.
        (Some(_), Some(_)) => Err(Status::BadRequest),
        (Some(_), None) => Err(Status::NotImplemented),
        (None, Some(length)) if length > MAX_BODY_BYTES => Err(Status::ContentTooLarge),
        // Who waits for a word before it sends the body may not send it.
        (None, Some(length)) => Ok((length, values(head, "expect").next().is_none())),
        (None, None) => Ok((0, true)),
    }
}

/// A number in digits and nothing else.
fn number(digits: &[u8]) -> Option<u64> {
    let is_number = digits.iter().all(u8::is_ascii_digit);
    core::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

/// Whether the first line is there, behind empty ones.
fn has_first_line(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().contains(&b'\n')
}

/// The version that the first line ends with: two digits.
fn version(bytes: &[u8]) -> Option<[u8; 2]> {
    match bytes[..first_line_end(bytes)].rsplit(|byte| *byte == b' ').next()? {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Some([*major, *minor])
        }
        _ => None,
    }
}

/// The same in the latest minor version that is known here: as that a later one is served (RFC 9110, section 2.5).
fn as_known(bytes: &[u8]) -> Vec<u8> {
    let mut known = bytes.to_vec();
    known[first_line_end(bytes) - 1] = b'1';
    known
}

/// Where the first line ends that is not empty; its line end is behind that.
fn first_line_end(bytes: &[u8]) -> usize {
    let start = bytes.len() - bytes.trim_ascii_start().len();
    let line = bytes[start..].split(|byte| *byte == b'\n').next().unwrap_or_default();
    start + line.trim_ascii_end().len()
}

/// The values of all headers of a name.
fn values<'a>(head: &httparse::Request<'_, 'a>, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    let of_name = move |header: &&httparse::Header<'a>| header.name.eq_ignore_ascii_case(name);
    head.headers.iter().filter(of_name).map(|header| header.value.trim_ascii())
}

/// The words of all headers of a name whose values are lists.
fn tokens<'a>(head: &httparse::Request<'_, 'a>, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    values(head, name).flat_map(|list| list.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

fn is(word: &[u8], other: &str) -> bool {
    word.eq_ignore_ascii_case(other.as_bytes())
}
