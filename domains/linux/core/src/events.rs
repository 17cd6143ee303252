//! Event channels: bits in the shared page, about which the guest's kernel is called.
//!
//! The interface has two levels of bits. One word of the lower level suffices here, so of the upper one there is one
//! bit.

use cloison_xen::Errno;
use cloison_xen::event::VIRQS;
use cloison_xen::shared::{self, VcpuInfo};

use crate::boot::{CONSOLE_PORT, STORE_PORT};
use crate::machine::Memory;
use crate::saved::{Carried, Carrier, CutShort, carried};

/// Ports there are.
pub const PORTS: usize = u64::BITS as usize;
/// The first port that is given out; those before have a meaning of their own, and 0 none.
const FIRST_FREE: usize = 3;
/// The bytes of a CPU's information, as parts of its first word.
const PENDING: u64 = 0xff << (8 * VcpuInfo::PENDING);
const MASK: u64 = 0xff << (8 * VcpuInfo::MASK);

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Nothing.
    Free,
    /// A virtual interrupt.
    Virq(u8),
    /// What the virtual CPU tells itself.
    Ipi,
    /// A device; its other end is in the shim.
    Device,
}

/// All ports, and where their events are told.
pub struct Channels {
    ports: [Port; PORTS],
    /// Ports of devices that the guest has raised.
    raised: u64,
    /// Address of the virtual CPU's information.
    info: u64,
}

carried!(Channels { ports, raised, info });

impl Carried for Port {
    fn carry(&mut self, carrier: &mut impl Carrier) -> Result<(), CutShort> {
        let mut number = match *self {
            Self::Free => 0,
            Self::Ipi => 1,
            Self::Device => 2,
            Self::Virq(virq) => u16::from(virq) << 8 | 3,
        };
        number.carry(carrier)?;
        *self = match number.to_le_bytes() {
            [0, 0] => Self::Free,
            [1, 0] => Self::Ipi,
            [2, 0] => Self::Device,
            [3, virq] => Self::Virq(virq),
            _ => return Err(CutShort),
        };
        Ok(())
    }
}

impl Channels {
    /// Before the guest's first instruction: the console has its port, and xenstore.
    pub const fn new() -> Self {
        let mut ports = [Port::Free; PORTS];
        ports[STORE_PORT as usize] = Port::Device;
        ports[CONSOLE_PORT as usize] = Port::Device;
        Self { ports, raised: 0, info: 0 }
    }

    /// Begins with the information in the shared page.
    pub fn start(&mut self, memory: &impl Memory) {
        *self = Self::new();
        self.info = memory.shared_address();
    }

    /// Address of a part of the virtual CPU's information.
    pub fn info(&self, offset: u64) -> u64 {
        self.info + offset
    }

    /// Address of the clock's parameters.
    pub fn time(&self) -> u64 {
        self.info(VcpuInfo::TIME)
    }

    /// Moves the information to another place. An event is pretended, so that none is lost on the way.
    ///
    /// # Errors
    /// The place is not the guest's memory, or it has been moved before.
    pub fn move_info(&mut self, memory: &mut impl Memory, to: u64) -> Result<(), Errno> {
        if self.info != memory.shared_address() {
            return Err(Errno::Invalid);
        }
        let info: VcpuInfo = memory.get(self.info).ok_or(Errno::Invalid)?;
        let info = VcpuInfo { pending: 1, selector: u64::MAX, ..info };
        memory.put(to, &info).ok_or(Errno::Invalid)?;
        self.info = to;
        Ok(())
    }

    /// Raises a port.
    pub fn raise(&self, memory: &mut impl Memory, port: u32) {
        let bit = 1 << (port as usize % PORTS);
        let pending = word(memory, shared::PENDING);
        if pending & bit == 0 {
            set_word(memory, shared::PENDING, pending | bit);
            if word(memory, shared::MASK) & bit == 0 {
                self.tell(memory);
            }
        }
    }

    /// Takes events of a port again; one that came meanwhile is told now.
    ///
    /// # Errors
    /// There is no such port.
    pub fn unmask(&self, memory: &mut impl Memory, port: u32) -> Result<(), Errno> {
        let bit = 1 << index(port)?;
        let mask = word(memory, shared::MASK);
        set_word(memory, shared::MASK, mask & !bit);
        if mask & bit != 0 && word(memory, shared::PENDING) & bit != 0 {
            self.tell(memory);
        }
        Ok(())
    }

    fn tell(&self, memory: &mut impl Memory) {
        let at = self.info(VcpuInfo::SELECTOR);
        let selector = memory.load(at).unwrap_or(0);
        let _ = memory.store(at, selector | 1);
        let _ = memory.write(self.info(VcpuInfo::PENDING), &[1]);
    }

    /// Whether an event has to be delivered now.
    pub fn is_due(&self, memory: &impl Memory) -> bool {
        let state = self.state(memory);
        state & PENDING != 0 && state & MASK == 0
    }

    /// Whether the guest takes no events now.
    pub fn is_masked(&self, memory: &impl Memory) -> bool {
        self.state(memory) & MASK != 0
    }

    /// Says whether the guest takes events.
    pub fn set_masked(&self, memory: &mut impl Memory, is_masked: bool) {
        let masked = u64::from(is_masked) << (8 * VcpuInfo::MASK);
        let _ = memory.store(self.info, self.state(memory) & !MASK | masked);
    }

    /// The word in which the guest is told that something is pending, and says whether it takes events. It is asked for at
    /// each exit.
    fn state(&self, memory: &impl Memory) -> u64 {
        memory.load(self.info).unwrap_or(0)
    }

    /// Gives a port to something.
    ///
    /// # Errors
    /// All are taken.
    pub fn allocate(&mut self, port: Port) -> Result<u32, Errno> {
        let free = (FIRST_FREE..PORTS).find(|number| self.ports[*number] == Port::Free);
        let number = free.ok_or(Errno::NoSpace)?;
        self.ports[number] = port;
        Ok(number as u32)
    }

    /// Gives a port to a virtual interrupt.
    ///
    /// # Errors
    /// There is no such interrupt, it has a port, or all ports are taken.
    pub fn bind_virq(&mut self, virq: u32) -> Result<u32, Errno> {
        if virq >= VIRQS {
            return Err(Errno::Invalid);
        }
        match self.port_of_virq(virq) {
            Some(_) => Err(Errno::Exists),
            None => self.allocate(Port::Virq(virq as u8)),
        }
    }

    /// The port of a virtual interrupt.
    pub fn port_of_virq(&self, virq: u32) -> Option<u32> {
        let at = |port: &Port| matches!(port, Port::Virq(number) if u32::from(*number) == virq);
        self.ports.iter().position(at).map(|number| number as u32)
    }

    /// Takes a port back.
    ///
    /// # Errors
    /// Nothing has it.
    pub fn close(&mut self, memory: &mut impl Memory, port: u32) -> Result<(), Errno> {
        self.taken(port)?;
        let number = index(port)?;
        self.ports[number] = Port::Free;
        self.raised &= !(1 << number);
        let pending = word(memory, shared::PENDING);
        set_word(memory, shared::PENDING, pending & !(1 << number));
        Ok(())
    }

    /// Raises a port's other end.
    ///
    /// # Errors
    /// It has none.
    pub fn send(&mut self, memory: &mut impl Memory, port: u32) -> Result<(), Errno> {
        match self.taken(port)? {
            Port::Device => self.raised |= 1 << index(port)?,
            Port::Ipi => self.raise(memory, port),
            Port::Virq(_) | Port::Free => return Err(Errno::Invalid),
        }
        Ok(())
    }

    /// What a port is for.
    ///
    /// # Errors
    /// Nothing.
    pub fn taken(&self, port: u32) -> Result<Port, Errno> {
        match self.ports[index(port)?] {
            Port::Free => Err(Errno::Invalid),
            port => Ok(port),
        }
    }

    /// Whether the guest has raised a device's port since this was asked last.
    pub fn take_raised(&mut self, port: u32) -> bool {
        let bit = 1 << (port as usize % PORTS);
        let is_raised = self.raised & bit != 0;
        self.raised &= !bit;
        is_raised
    }
}

fn index(port: u32) -> Result<usize, Errno> {
    let number = port as usize;
    if number < PORTS { Ok(number) } else { Err(Errno::Invalid) }
}

fn word(memory: &impl Memory, offset: u64) -> u64 {
    memory.load(memory.shared_address() + offset).unwrap_or(0)
}

fn set_word(memory: &mut impl Memory, offset: u64, word: u64) {
    let at = memory.shared_address() + offset;
    let _ = memory.store(at, word);
}
