//! What typed bytes mean.

/// Begins an order to the console.
const ATTENTION: u8 = 0x1d; // Ctrl-]

/// What a typed byte asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Give the byte to the domain in focus.
    Deliver(u8),
    /// Give the focus to this terminal, counted from 0.
    Focus(usize),
    /// List the terminals.
    List,
    /// Say how orders are given: this one is not known.
    Explain,
    /// Nothing, until the next byte.
    Wait,
}

/// Remembers whether the last byte began an order.
#[derive(Debug, Default)]
pub struct Keyboard {
    attention: bool,
}

impl Keyboard {
    /// Takes a typed byte. Ctrl-] and a digit from 1 on give the focus away, Ctrl-] and `?` list who can have
    /// it, Ctrl-] twice types one.
    pub fn press(&mut self, byte: u8) -> Order {
        if !core::mem::take(&mut self.attention) {
            self.attention = byte == ATTENTION;
            return if self.attention { Order::Wait } else { Order::Deliver(byte) };
        }
        match byte {
            ATTENTION => Order::Deliver(ATTENTION),
            b'1'..=b'9' => Order::Focus(usize::from(byte - b'1')),
            b'?' => Order::List,
            _ => Order::Explain,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn orders_begin_with_attention() {
        let cases: &[(&[u8], &[Order])] = &[
            (b"a\r", &[Order::Deliver(b'a'), Order::Deliver(b'\r')]),
            (b"2?", &[Order::Deliver(b'2'), Order::Deliver(b'?')]),
            (b"\x1d2x", &[Order::Wait, Order::Focus(1), Order::Deliver(b'x')]),
            (b"\x1d?2", &[Order::Wait, Order::List, Order::Deliver(b'2')]),
            (b"\x1d\x1d?", &[Order::Wait, Order::Deliver(0x1d), Order::Deliver(b'?')]),
            (b"\x1d0\x1dq", &[Order::Wait, Order::Explain, Order::Wait, Order::Explain]),
        ];
        for (typed, expected) in cases {
            let mut keyboard = Keyboard::default();
            let orders: Vec<Order> = typed.iter().map(|byte| keyboard.press(*byte)).collect();
            assert_eq!(&orders, expected, "{typed:?}");
        }
    }
}
