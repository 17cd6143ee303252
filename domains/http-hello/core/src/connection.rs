//! A connection: requests in, answers out.

use alloc::string::String;

use embedded_io_async::{Read, Write};

use crate::{
    Site,
    page::{self, text},
    request::{HEAD_BYTES, Request, Resource, Status},
};

/// Answers one request after the other, until the client ends, wants no more, or says what is no request.
///
/// # Errors
/// The stream's.
pub async fn serve<R, W>(mut input: R, mut output: W, site: &impl Site) -> Result<(), W::Error>
where
    R: Read<Error = W::Error>,
    W: Write,
{
    let mut received = [0; HEAD_BYTES];
    let mut length = 0;
    loop {
        if let Some((request, taken)) = Request::parse(&received[..length]) {
            let stays = answer(&request, &mut output, site).await?;
            if !stays {
                return Ok(());
            }
            received.copy_within(taken..length, 0);
            length -= taken;
        } else {
            let count = input.read(&mut received[length..]).await?;
            if count == 0 {
                return Ok(());
            }
            length += count;
        }
    }
}

/// Answers a request. Returns whether another one may follow.
async fn answer<W: Write>(request: &Request, output: &mut W, site: &impl Site) -> Result<bool, W::Error> {
    let (status, kind, body) = match request {
        Request::Get { what, .. } => content(*what, site),
        Request::Bad(status) => (*status, TEXT, text(format_args!("{}\n", status.line()))),
    };
    let (is_head, stays) = match request {
        Request::Get { is_head, stays, .. } => (*is_head, *stays),
        Request::Bad(status) => (false, *status == Status::NotFound),
    };
    output.write_all(head(status, kind, body.len(), stays).as_bytes()).await?;
    if !is_head {
        output.write_all(body.as_bytes()).await?;
    }
    Ok(stays)
}

const TEXT: &str = "text/plain; charset=utf-8";

fn content(what: Resource, site: &impl Site) -> (Status, &'static str, String) {
    match (site.reports(), what) {
        (Ok(reports), Resource::Page) => {
            (Status::Ok, "text/html; charset=utf-8", page::html(site.domain(), site.system(), &reports))
        }
        (Ok(reports), Resource::Counters) => (Status::Ok, "application/json", page::json(&reports)),
        (Err(error), _) => {
            (Status::Unavailable, TEXT, text(format_args!("the switch does not answer: {error}\n")))
        }
    }
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
