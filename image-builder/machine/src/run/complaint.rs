//! What QEMU complains of, in a sentence with what to do, where that is known.

use image_compiler::visible::visible;

use crate::Failure;

/// Something that QEMU says when it does not start.
struct Known {
    /// The text that marks its line.
    mark: &'static str,
    /// Its meaning. `{}` stands for the last quoted part of the line.
    meaning: &'static str,
    /// Whether the machine on which the tool runs is at fault.
    is_environment: bool,
}

const KNOWN: [Known; 9] = [
    Known {
        mark: "Could not set up host forwarding rule",
        meaning: "QEMU cannot listen where the forward `{}` begins: another program has taken the port meanwhile; start \
                  again, or choose another port with --forward HOST:DOMAIN:PORT",
        is_environment: true,
    },
    Known {
        mark: "TPM result for CMD_INIT",
        meaning: "the TPM emulator swtpm cannot use the TPM's state: another program uses it, or it is damaged",
        is_environment: true,
    },
    Known {
        mark: "tpm-emulator",
        meaning: "the TPM emulator swtpm ended before the machine could use it",
        is_environment: true,
    },
    Known {
        mark: "id=tpm,",
        meaning: "the TPM emulator swtpm ended before the machine could use it",
        is_environment: true,
    },
    Known {
        mark: "unable to find CPU model",
        meaning: "QEMU knows no CPU `{}`; `qemu-system-x86_64 -cpu help` lists those that it knows",
        is_environment: false,
    },
    Known {
        mark: "-x86_64-cpu.",
        meaning: "QEMU has no `{}`, a feature that --cpu or the platform gives the CPU; `qemu-system-x86_64 -cpu help` \
                  lists those that it knows",
        is_environment: false,
    },
    Known {
        mark: "Cannot allocate memory",
        meaning: "this machine has not as much memory as the system is to have; --memory gives it less",
        is_environment: true,
    },
    Known {
        mark: "gdbstub",
        meaning: "QEMU cannot wait for a debugger: another program has taken the port meanwhile; choose another with \
                  --gdb=PORT",
        is_environment: true,
    },
    Known {
        mark: "No space left on device",
        meaning: "QEMU cannot write: no space left on the device",
        is_environment: true,
    },
];

/// Why QEMU did not start, by all that it has said.
#[must_use]
pub(super) fn explain(said: &str) -> Option<Failure> {
    let (known, line) =
        KNOWN.iter().find_map(|known| Some((known, said.lines().find(|line| line.contains(known.mark))?)))?;
    let quoted = line.rsplit(['\'', '"']).nth(1).unwrap_or("?");
    let text = visible(&known.meaning.replace("{}", quoted));
    Some(if known.is_environment { Failure::Environment(text) } else { Failure::Failed(text) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_a_sentence_and_the_rest_is_passed_on() {
        let said = "qemu-system-x86_64: -netdev user,id=nic0: Could not set up host forwarding rule \
                    'tcp:127.0.0.1:8080-192.168.0.13:80'\n";
        let failure = explain(said).unwrap();
        assert_eq!(failure.status(), 3);
        assert!(failure.to_string().contains("`tcp:127.0.0.1:8080-192.168.0.13:80` begins"), "{failure}");
        let failure = explain("x\nqemu-system-x86_64: unable to find CPU model 'z80'\ny").unwrap();
        assert_eq!((failure.status(), failure.to_string().contains("knows no CPU `z80`;")), (1, true));
        for said in [
            "qemu-system-x86_64: Property 'max-x86_64-cpu.fly' not found\n",
            "qemu-system-x86_64: can't apply global max-x86_64-cpu.fly=1: Property 'max-x86_64-cpu.fly' not found\n",
        ] {
            let failure = explain(said).unwrap();
            assert!(failure.to_string().starts_with("QEMU has no `max-x86_64-cpu.fly`, "), "{failure}");
            assert_eq!(failure.status(), 1);
        }
        assert!(explain("qemu-system-x86_64: -no-such-option: invalid option\n").is_none());
    }
}
