//! Names of hosts.

use alloc::vec::Vec;
use core::{
    future::poll_fn,
    net::Ipv4Addr,
    task::{Context, Poll},
};

use smoltcp::{
    iface::SocketHandle,
    socket::dns::{self, GetQueryResultError, QueryHandle, StartQueryError},
    wire::{DnsQueryType, IpAddress},
};

use crate::{Error, Net, stack::Stack};

impl Net {
    /// The address of a host: what the name server says of its name. An address in dots is taken as it is.
    ///
    /// # Errors
    /// [`Error::NoNameServer`], [`Error::BadName`], [`Error::UnknownName`], [`Error::OutOfHeap`].
    pub async fn resolve(&self, name: &str) -> Result<Ipv4Addr, Error> {
        if let Ok(address) = name.parse() {
            return Ok(address);
        }
        let query = Query::new(self, name)?;
        poll_fn(|context| query.poll(context)).await
    }
}

/// A question that has been asked. Dropped before the answer, it is taken back.
struct Query {
    net: Net,
    socket: SocketHandle,
    query: QueryHandle,
    is_answered: core::cell::Cell<bool>,
}

impl Query {
    fn new(net: &Net, name: &str) -> Result<Self, Error> {
        let mut stack = net.stack();
        let server = stack.name_server.ok_or(Error::NoNameServer)?;
        let socket = names_socket(&mut stack);
        stack.touch();
        let Stack { interface, sockets, .. } = &mut *stack;
        let resolver = sockets.get_mut::<dns::Socket<'_>>(socket);
        resolver.update_servers(&[server.into()]);
        let query = resolver.start_query(interface.context(), name, DnsQueryType::A);
        let query = query.map_err(|error| match error {
            StartQueryError::NoFreeSlot => Error::OutOfHeap,
            StartQueryError::InvalidName | StartQueryError::NameTooLong => Error::BadName,
        })?;
        Ok(Self { net: net.clone(), socket, query, is_answered: false.into() })
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Result<Ipv4Addr, Error>> {
        let mut stack = self.net.stack();
        let resolver = stack.socket::<dns::Socket<'_>>(self.socket);
        let address = match resolver.get_query_result(self.query) {
            Err(GetQueryResultError::Pending) => {
                resolver.register_query_waker(self.query, context.waker());
                return Poll::Pending;
            }
            Ok(addresses) => addresses.first().copied(),
            Err(GetQueryResultError::Failed) => None,
        };
        self.is_answered.set(true);
        match address {
            Some(IpAddress::Ipv4(address)) => Poll::Ready(Ok(address)),
            None => Poll::Ready(Err(Error::UnknownName)),
        }
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        if !self.is_answered.get() {
            self.net.stack().socket::<dns::Socket<'_>>(self.socket).cancel_query(self.query);
        }
    }
}

/// The socket that asks name servers. Domains that never ask have none.
fn names_socket(stack: &mut Stack) -> SocketHandle {
    if let Some(socket) = stack.names {
        return socket;
    }
    let socket = stack.sockets.add(dns::Socket::new(&[], Vec::new()));
    stack.names = Some(socket);
    socket
}
