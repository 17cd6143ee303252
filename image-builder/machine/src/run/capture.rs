//! Recording what passes a switch: adds a domain that writes frames to a file of the host.

use std::{path::PathBuf, str::FromStr};

use image_compiler::{
    manifest::{Addition, Component, DeviceNeed, component},
    system::{LOG_GATE, Switch, System},
    workspace::Workspace,
};

use crate::Failure;

/// The domain that is added, and its component.
const CAPTURE: &str = "capture";

/// Where frames are to go, and which: `FILE[:SWITCH[:PORT]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureRequest {
    /// The file.
    pub file: PathBuf,
    /// The switch, if there are several.
    switch: Option<String>,
    /// The port, if not all.
    port: Option<String>,
}

impl FromStr for CaptureRequest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (file, which) = text.split_once(':').unwrap_or((text, ""));
        if file.is_empty() {
            return Err("no file is named: FILE[:SWITCH[:PORT]]");
        }
        Ok(Self { file: file.into(), ..Self::of_switch(which) })
    }
}

impl CaptureRequest {
    /// Which frames: `SWITCH[:PORT]`, or nothing for all that the system's only switch takes in.
    #[must_use]
    pub fn of_switch(which: &str) -> Self {
        let (switch, port) = which.split_once(':').unwrap_or((which, ""));
        let stated = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self { file: PathBuf::new(), switch: stated(switch), port: stated(port) }
    }

    /// The addition to the system's manifest; `None` if it has a domain that records already.
    ///
    /// # Errors
    ///
    /// When there is no such switch or port, or when the machine lacks what the component needs.
    pub fn addition(&self, workspace: &Workspace, system: &System) -> Result<Option<Addition>, Failure> {
        if system.components().iter().any(|component| component.name == CAPTURE) {
            return Ok(None);
        }
        let switch = self.switch(system)?;
        let port = self.port.as_ref().map(|port| number_of(system, switch, port)).transpose()?;
        let component = component(workspace, CAPTURE);
        let component = component.ok_or_else(|| impossible(&format!("there is no component `{CAPTURE}`")))?;
        let mut text = format!("[domain.{CAPTURE}]\ncomponent = \"{CAPTURE}\"\n");
        text += &needs(system, &component)?;
        if let Some(port) = port {
            text += &format!("arguments = \"{port}\"\n");
        }
        let switch = &system.domain(switch.domain).name;
        text += &format!("\n[switch.{switch}.port.{CAPTURE}]\nmirror = true\n");
        Ok(Some(Addition { name: CAPTURE, text }))
    }

    fn switch<'a>(&self, system: &'a System) -> Result<&'a Switch, Failure> {
        let name = |switch: &Switch| system.domain(switch.domain).name.clone();
        let names: Vec<_> = system.switches().iter().map(name).collect();
        match (&self.switch, system.switches()) {
            (_, []) => Err(impossible("this system has no switch")),
            (None, [only]) => Ok(only),
            (None, _) => {
                let file = self.file.display();
                Err(impossible(&format!(
                    "name one of the switches {}: {file}:{}",
                    names.join(", "),
                    names[0]
                )))
            }
            (Some(wanted), all) => {
                let found = all.iter().find(|switch| name(switch) == *wanted);
                found.ok_or_else(|| {
                    impossible(&format!("there is no switch `{wanted}`; there is: {}", names.join(", ")))
                })
            }
        }
    }
}

/// The number of the port at which a domain is, by which the switch tags what came in there.
fn number_of(system: &System, switch: &Switch, domain: &str) -> Result<usize, Failure> {
    let names: Vec<_> = switch.ports.iter().map(|port| system.domain(port.domain).name.as_str()).collect();
    names.iter().position(|name| *name == domain).ok_or_else(|| {
        let switch = &system.domain(switch.domain).name;
        impossible(&format!("the switch `{switch}` has no port `{domain}`; it has: {}", names.join(", ")))
    })
}

/// The lines that give the component its devices and its log, as a manifest would state them.
fn needs(system: &System, component: &Component) -> Result<String, Failure> {
    let platform = system.platform();
    let device = |need: &DeviceNeed| {
        let class = &need.class.value;
        let device = platform.devices.iter().find(|device| device.class.value == *class);
        let lacks =
            || impossible(&format!("the platform `{}` has no device of the class `{class}`", platform.name));
        Ok(format!("\"{}\"", device.ok_or_else(lacks)?.name.value))
    };
    let devices: Vec<String> = component.devices.iter().map(device).collect::<Result<_, Failure>>()?;
    let mut text = format!("devices = [{}]\n", devices.join(", "));
    let has_log = component.gates.iter().any(|need| need.gate.value == LOG_GATE);
    if let Some(log) = system.log_server().filter(|_| has_log) {
        text += &format!("log = \"{log}\"\n");
    }
    Ok(text)
}

fn impossible(why: &str) -> Failure {
    Failure::Usage(format!("cannot capture: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> CaptureRequest {
        text.parse().unwrap()
    }

    #[test]
    fn reads_file_switch_and_port() {
        assert_eq!(request("a.pcap"), CaptureRequest { file: "a.pcap".into(), switch: None, port: None });
        let full = request("/tmp/a.pcap:ore:alice");
        assert_eq!((full.switch.as_deref(), full.port.as_deref()), (Some("ore"), Some("alice")));
    }
}
