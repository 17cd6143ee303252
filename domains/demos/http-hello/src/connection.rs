//! A connection: requests in, answers out.

use alloc::string::String;
use embedded_io_async::{Read, Write};

use crate::{
    Place, Site,
    page::{self, Shown, text},
    request::{HEAD_BYTES, Request, Resource, Status},
};

/// Answers one request after the other, until the client ends, wants no more, or says what is no request, or until
/// its place is wanted.
///
/// # Errors
/// The stream's.
pub async fn serve<R, W>(
    mut input: R,
    mut output: W,
    site: &impl Site,
    place: &impl Place,
) -> Result<(), W::Error>
where
    R: Read<Error = W::Error>,
    W: Write,
{
    let mut received = [0; HEAD_BYTES];
    let mut length = 0;
    // What is still to come of the last request's body.
    let mut body = 0;
    loop {
        let passed = length.min(usize::try_from(body).unwrap_or(usize::MAX));
        body -= passed as u64;
        received.copy_within(passed..length, 0);
        length -= passed;
        let parsed = if body == 0 { Request::parse(&received[..length]) } else { None };
        if let Some((mut request, taken)) = parsed {
            request.stays &= !place.begins();
            answer(&request, &mut output, site).await?;
            place.ends();
            if !request.stays {
                return Ok(());
            }
            received.copy_within(taken..length, 0);
            length -= taken;
            body = request.body_bytes;
        } else {
            let count = input.read(&mut received[length..]).await?;
            if count == 0 {
                return Ok(());
            }
            length += count;
        }
    }
}

/// Tells a client that it has taken too long, and others want its place.
///
/// # Errors
/// The stream's.
pub async fn dismiss<W: Write>(mut output: W) -> Result<(), W::Error> {
    let (kind, body) = complaint(Status::Timeout);
    output.write_all(head(Status::Timeout, kind, body.len(), false).as_bytes()).await?;
    output.write_all(body.as_bytes()).await
}

async fn answer<W: Write>(request: &Request, output: &mut W, site: &impl Site) -> Result<(), W::Error> {
    let (status, (kind, body)) = match request.what {
        Ok(what) => content(what, site),
        Err(status) => (status, complaint(status)),
    };
    output.write_all(head(status, kind, body.len(), request.stays).as_bytes()).await?;
    if request.is_head { Ok(()) } else { output.write_all(body.as_bytes()).await }
}

const TEXT: &str = "text/plain; charset=utf-8";

fn complaint(status: Status) -> (&'static str, String) {
    (TEXT, text(format_args!("{}\n", status.line())))
}

fn content(what: Resource, site: &impl Site) -> (Status, (&'static str, String)) {
    let shown = match gather(what, site) {
        Ok(shown) => shown,
        Err((who, why)) => return unavailable(who, &why),
    };
    match what {
        Resource::Page => {
            let page = page::html(site.domain(), site.system(), &shown);
            (Status::Ok, ("text/html; charset=utf-8", page))
        }
        _ if shown.is_nothing() => (Status::NotFound, complaint(Status::NotFound)),
        Resource::Counters => (Status::Ok, ("application/json", page::counters_json(&shown))),
        Resource::System => (Status::Ok, ("application/json", page::status_json(&shown))),
    }
}

/// Asks for what a resource shows; or who does not answer, and why.
fn gather(what: Resource, site: &impl Site) -> Result<Shown, (&'static str, String)> {
    let (has_ports, has_system) = match what {
        Resource::Page => (true, true),
        Resource::Counters => (true, false),
        Resource::System => (false, true),
    };
    let ports = has_ports.then(|| site.reports()).flatten();
    let domains = has_system.then(|| site.domains()).flatten();
    let decisions = has_system.then(|| site.decisions()).flatten();
    Ok(Shown {
        ports: ports.transpose().map_err(|error| ("switch", text(format_args!("{error}"))))?,
        domains: domains.transpose().map_err(|error| ("manager", text(format_args!("{error}"))))?,
        decisions: decisions.transpose().map_err(|error| ("monitor", text(format_args!("{error}"))))?,
    })
}

fn unavailable(who: &str, why: &str) -> (Status, (&'static str, String)) {
    (Status::Unavailable, (TEXT, text(format_args!("the {who} does not answer: {why}\n"))))
}

fn head(status: Status, kind: &str, bytes: usize, stays: bool) -> String {
    let allow = if status == Status::MethodNotAllowed { "Allow: GET, HEAD\r\n" } else { "" };
    let connection = if stays { "keep-alive" } else { "close" };
    text(format_args!(
        "HTTP/1.1 {}\r\nContent-Type: {kind}\r\nContent-Length: {bytes}\r\nCache-Control: no-store\r\n\
         {allow}Connection: {connection}\r\n\r\n",
        status.line()
    ))
}
