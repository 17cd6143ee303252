//! A domain's network: made of a port, run by a future.

use alloc::{boxed::Box, rc::Rc};
use core::{
    cell::{RefCell, RefMut},
    convert::Infallible,
    future::{Future, poll_fn},
    net::Ipv4Addr,
    pin::pin,
    task::Poll,
    time::Duration,
};

use cloison_abi::port::{PortFlags, PortSettings};
use cloison_rt::heap;
use smoltcp::{
    iface,
    wire::{HardwareAddress, IpCidr, Ipv4Cidr},
};

use crate::{
    Config, Counters, Error, Link, Micros,
    device::LinkDevice,
    dhcp,
    host::usable,
    port,
    stack::{Stack, instant},
};

/// Smallest and largest IP packet that a port is taken to carry. The first is what IPv4 demands of a link
/// with names and leases on it (RFC 791), the second what an IPv4 header can say.
const MTU_RANGE: (u32, u32) = (576, 65_535);

/// A domain's network. Clones are the same network.
#[derive(Clone)]
pub struct Net {
    stack: Rc<RefCell<Stack>>,
    pub(crate) config: Config,
    mtu: usize,
    mac: [u8; 6],
}

/// The IPv4 addresses of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The domain's own address.
    pub address: Ipv4Addr,
    /// How many bits of it name the network.
    pub prefix_bits: u8,
    /// The one that reaches all hosts of the network.
    pub broadcast: Ipv4Addr,
}

impl Net {
    /// The network on the port that the domain calls `name`.
    ///
    /// # Errors
    /// [`Error::NoPort`], [`Error::NoMemory`], [`Error::OutOfHeap`].
    pub fn attach(name: &str, config: Config) -> Result<Self, Error> {
        let (settings, link) = port::find(name)?;
        let net = Self::new(Box::new(link), settings, config)?;
        net.stack().socket_bytes = config.socket_bytes.unwrap_or(heap::free() / 4 * 3);
        Ok(net)
    }

    /// The network on any link. Its sockets may take all memory, unless `config` says how much.
    ///
    /// # Errors
    /// [`Error::OutOfHeap`].
    pub fn new(link: Box<dyn Link>, settings: &PortSettings, config: Config) -> Result<Self, Error> {
        let mtu = settings.mtu.clamp(MTU_RANGE.0, MTU_RANGE.1);
        let mut device = LinkDevice::new(link, settings.mac, mtu as usize)?;
        let mut options = iface::Config::new(HardwareAddress::Ip);
        options.random_seed = device.wire.link.random();
        let now = instant(device.wire.link.now());
        let interface = iface::Interface::new(options, &mut device, now);
        let mut stack = Stack::new(interface, device);
        stack.socket_bytes = config.socket_bytes.unwrap_or(usize::MAX);
        configure(&mut stack, settings);
        Ok(Self { stack: Rc::new(RefCell::new(stack)), config, mtu: mtu as usize, mac: settings.mac })
    }

    /// Moves packets, for as long as it is polled. Joined with the futures that use the network; first among
    /// them, what has come in reaches them in the same round.
    pub fn run(&self) -> impl Future<Output = Infallible> + use<> {
        let stack = self.stack.clone();
        poll_fn(move |context| {
            stack.borrow_mut().turn(context.waker());
            Poll::Pending
        })
    }

    /// Waits until the domain has an address: at once if the manifest states one, else when the DHCP server
    /// has given it.
    pub async fn configured(&self) -> Addresses {
        // Who sets the address has all futures polled.
        poll_fn(|_| self.addresses().map_or(Poll::Pending, Poll::Ready)).await
    }

    /// The domain's addresses, if it has any now.
    #[must_use]
    pub fn addresses(&self) -> Option<Addresses> {
        let stack = self.stack();
        let IpCidr::Ipv4(cidr) = *stack.interface.ip_addrs().first()?;
        let broadcast = cidr.broadcast().unwrap_or(Ipv4Addr::BROADCAST);
        Some(Addresses { address: cidr.address(), prefix_bits: cidr.prefix_len(), broadcast })
    }

    /// The port's MAC address.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Largest IP packet, in bytes.
    #[must_use]
    pub fn mtu(&self) -> usize {
        self.mtu
    }

    /// The counts of what has passed the port.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.stack().device.wire.counters
    }

    /// The time, by the link's clock.
    #[must_use]
    pub fn now(&self) -> Micros {
        self.stack().device.wire.link.now()
    }

    /// Waits for a while.
    pub async fn sleep(&self, duration: Duration) {
        let until = self.now().saturating_add(micros(duration));
        poll_fn(|_| {
            let mut stack = self.stack();
            if stack.device.wire.link.now() >= until {
                return Poll::Ready(());
            }
            stack.device.wire.link.wait_until(until);
            Poll::Pending
        })
        .await
    }

    /// Has all futures polled at this time, if nothing comes before. Holds until the next poll.
    pub(crate) fn wake_at(&self, time: Micros) {
        self.stack().device.wire.link.wait_until(time);
    }

    /// Runs a future, but no longer than for `duration`.
    ///
    /// # Errors
    /// [`Error::TimedOut`].
    pub async fn within<F: Future>(&self, duration: Duration, future: F) -> Result<F::Output, Error> {
        let mut future = pin!(future);
        let mut end = pin!(self.sleep(duration));
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            end.as_mut().poll(context).map(|()| Err(Error::TimedOut))
        })
        .await
    }

    pub(crate) fn stack(&self) -> RefMut<'_, Stack> {
        self.stack.borrow_mut()
    }
}

/// Gives a stack the addresses of its port.
fn configure(stack: &mut Stack, settings: &PortSettings) {
    let address = Ipv4Addr::from(settings.address);
    let prefix = u8::try_from(settings.prefix_bits).unwrap_or(32).min(32);
    stack.name_server = stated(settings.name_server);
    let address = usable(address).then(|| Ipv4Cidr::new(address, prefix));
    stack.set_address(address, stated(settings.gateway));
    if PortFlags::from_bits_truncate(settings.flags).contains(PortFlags::DHCP) {
        stack.dhcp = Some(dhcp::Client::new(settings.mac));
        stack.device.wire.asks_for_address = true;
    }
}

fn stated(address: [u8; 4]) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from(address)).filter(|address| usable(*address))
}

pub(crate) fn micros(duration: Duration) -> Micros {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
