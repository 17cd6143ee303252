//! From a manifest to the files of a system: the whole way, with one line for each step.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{IsTerminal, stderr},
    path::{Path, PathBuf},
};

use image_compiler::{
    BUILDER, Binaries, Inputs, MenuEntry, Plan, Report, System, Workspace, pcrs,
    trust::{self, Facts},
};
use image_machine::{
    Failure,
    cargo_build::{Compiler, KERNEL, LOADER, Part, TARGET},
    disc::{self, Firmware, OnDisc},
    interrupts::Interrupts,
    medium::{self, Content, Form},
    payload::Payloads,
    progress::Progress,
    run::Machine,
    tools,
};

/// What every command works with.
#[derive(Debug)]
pub struct Context {
    /// The project.
    pub workspace: Workspace,
    /// Where everything that is made goes.
    pub target: PathBuf,
    /// What the user sees of it.
    pub progress: Progress,
    /// What stops it.
    pub interrupts: Interrupts,
}

impl Context {
    /// Finds the project around the current folder, or else the one that this tool was built from.
    ///
    /// # Errors
    ///
    /// When the current folder cannot be told, or Cargo cannot use the target folder.
    pub fn find(progress: Progress, interrupts: Interrupts) -> Result<Self, Failure> {
        let here =
            env::current_dir().map_err(|error| Failure::machine("cannot tell the current folder", &error))?;
        let around = here.ancestors().find(|folder| folder.join("core-kernel/abi/Cargo.toml").is_file());
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        let root = around.or(built_from).unwrap_or(&here).to_owned();
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| here.join(target));
        if target.to_str().is_none() {
            let target = target.display();
            return Err(Failure::Environment(format!(
                "the target folder {target} has a name that is not UTF-8, which Cargo cannot use"
            )));
        }
        Ok(Self { workspace: Workspace { root }, target, progress, interrupts })
    }

    /// The same for a command, which says what it does, and which Ctrl-C stops.
    ///
    /// # Errors
    ///
    /// As [`Context::find`], and when signals cannot be watched for.
    pub fn of_command() -> Result<Self, Failure> {
        Self::find(Progress::visible(), Interrupts::install()?)
    }

    /// What compiles the programs.
    #[must_use]
    pub fn compiler(&self) -> Compiler<'_> {
        Compiler {
            root: &self.workspace.root,
            target: &self.target,
            progress: &self.progress,
            interrupts: &self.interrupts,
        }
    }

    /// What guests can begin with by a name.
    #[must_use]
    pub fn payloads(&self) -> Payloads<'_> {
        let folder = self.target.join("payloads");
        Payloads { folder, progress: &self.progress, interrupts: &self.interrupts }
    }

    /// The program of a package that domains run, with its symbols, as it was compiled last.
    #[must_use]
    pub fn program(&self, package: &str) -> PathBuf {
        self.target.join("on-target").join(TARGET).join("domain").join(package)
    }

    /// Where a system's files go.
    #[must_use]
    pub fn folder(&self, system: &System) -> PathBuf {
        self.target.join("images").join(system.image_name())
    }
}

/// A system that has been built.
#[derive(Debug)]
pub struct Built {
    /// The system.
    pub system: System,
    /// Where everything of it lies.
    pub plan: Plan,
    /// The system image.
    pub image: Vec<u8>,
    /// The kernel, as it is on the disc.
    pub kernel: Vec<u8>,
    /// The folder of the files below.
    pub folder: PathBuf,
    /// The disc, for a machine with a BIOS.
    pub disc: PathBuf,
    /// The kernel with its symbols, for a debugger.
    pub symbols: PathBuf,
}

impl Built {
    /// The machine that it was built for.
    #[must_use]
    pub fn machine(&self) -> Machine {
        Machine::new(&self.system, &self.disc)
    }

    /// The disc for a machine with this firmware, written if it is not there yet.
    ///
    /// # Errors
    ///
    /// When a tool is missing or the disc cannot be written.
    pub fn disc_for(&self, firmware: Firmware, context: &Context) -> Result<PathBuf, Failure> {
        if firmware == Firmware::Bios {
            return Ok(self.disc.clone());
        }
        tools::require(firmware.tools(), &context.progress, &context.interrupts)?;
        if firmware == Firmware::Efi {
            let path = self.folder.join("boot-efi.img");
            let loader = loader(context)?;
            let step = context.progress.step("writing the disc for UEFI");
            medium::write_efi(&path, self.content(&loader, &self.listing()?))?;
            step.done(&format!("{}, loader {} KiB", path.display(), loader.len().div_ceil(1024)));
            return Ok(path);
        }
        let path = self.folder.join("boot-uefi.iso");
        let serial_port = self.system.platform().serial_port;
        let systems = &[OnDisc::only(&self.image)];
        let contents = disc::Contents { kernel: &self.kernel, systems, serial_port, firmware };
        disc::write(&path, contents, &context.interrupts)?;
        Ok(path)
    }

    /// A disc of this form, for machines with either firmware.
    ///
    /// # Errors
    ///
    /// When a tool is missing or the disc cannot be written.
    pub fn disc_of(&self, form: Form, context: &Context) -> Result<PathBuf, Failure> {
        tools::require(form.tools(), &context.progress, &context.interrupts)?;
        let path = self.folder.join(format!("{}.{}", self.system.name(), form.name()));
        let loader = loader(context)?;
        let step = context.progress.step("writing the disc for BIOS and UEFI");
        medium::write(&path, form, self.content(&loader, &self.listing()?), &context.interrupts)?;
        step.done(&path.display().to_string());
        Ok(path)
    }

    /// What the loader has to find.
    fn listing(&self) -> Result<String, Failure> {
        let no_image = || Failure::Failed("what was built is no system image".into());
        pcrs::listing(&self.kernel, &self.image).ok_or_else(no_image)
    }

    fn content<'a>(&'a self, loader: &'a [u8], listing: &'a str) -> Content<'a> {
        let serial_port = self.system.platform().serial_port;
        Content { loader, kernel: &self.kernel, image: &self.image, listing, serial_port }
    }
}

/// Compiles the loader for UEFI. Returns its file's content.
///
/// # Errors
///
/// When the code does not compile, or the file cannot be read.
pub fn loader(context: &Context) -> Result<Vec<u8>, Failure> {
    read(&context.compiler().build(Part::Loader, &[LOADER])?.pop().unwrap_or_default())
}

/// Reads and checks a manifest that is to be built.
///
/// # Errors
///
/// As [`fetch`].
pub fn load(context: &Context, manifest: impl AsRef<Path>) -> Result<System, Failure> {
    check(&fetch(context, Inputs::read(&context.workspace, manifest.as_ref()))?)
}

/// Reads and checks a manifest that is not built now: payloads that have never been fetched are not judged.
///
/// # Errors
///
/// As [`check`].
pub fn look(context: &Context, manifest: impl AsRef<Path>) -> Result<System, Failure> {
    check(&context.payloads().kept(Inputs::read(&context.workspace, manifest.as_ref())))
}

/// Fetches the payloads that a manifest without faults names.
///
/// # Errors
///
/// As [`check`], and when a payload cannot be fetched.
pub fn fetch(context: &Context, inputs: Inputs) -> Result<Inputs, Failure> {
    if inputs.payloads_wanted().next().is_none() {
        return Ok(inputs);
    }
    check(&inputs)?;
    context.payloads().fetched(inputs)
}

/// Checks what has been read of a manifest.
///
/// # Errors
///
/// All faults of the manifest, ready to print.
pub fn check(inputs: &Inputs) -> Result<System, Failure> {
    if let Some(entries) = menu(inputs)? {
        let manifests = entries.iter().map(|entry| entry.manifest.display().to_string());
        let manifests = manifests.collect::<Vec<_>>().join(", ");
        return Err(Failure::Usage(format!(
            "this is a menu of several systems; name one of them: {manifests}"
        )));
    }
    image_compiler::resolve(inputs).map_err(|report| bad_manifest(&report))
}

/// The systems of a menu. None if the manifest is that of one system.
///
/// # Errors
///
/// All faults of the menu, ready to print.
pub fn menu(inputs: &Inputs) -> Result<Option<Vec<MenuEntry>>, Failure> {
    image_compiler::menu(inputs).map_err(|report| bad_manifest(&report))
}

/// All systems of a menu, and the disc with all of them.
#[derive(Debug)]
pub struct BuiltMenu {
    /// The systems.
    pub systems: Vec<Built>,
    /// The disc, for a machine with a BIOS. Its menu is on the serial port of the first system's platform.
    pub disc: PathBuf,
}

/// Builds the systems of a menu, and writes one disc with all of them, in a folder that has the name of its file.
///
/// # Errors
///
/// As [`load`] and [`build`].
pub fn build_menu(context: &Context, manifest: &Path, entries: &[MenuEntry]) -> Result<BuiltMenu, Failure> {
    let systems: Vec<System> =
        entries.iter().map(|entry| load(context, &entry.manifest)).collect::<Result<_, _>>()?;
    let systems: Vec<Built> =
        systems.into_iter().map(|system| build(context, system)).collect::<Result<_, _>>()?;
    let folder = context.target.join("images").join(manifest.file_stem().unwrap_or("menu".as_ref()));
    fs::create_dir_all(&folder).map_err(|error| Failure::file("cannot make", &folder, &error))?;
    let disc = folder.join("boot.iso");
    let on_disc = entries.iter().zip(&systems);
    let on_disc =
        on_disc.map(|(entry, built)| OnDisc { title: &entry.title, name: &entry.name, image: &built.image });
    let on_disc: Vec<OnDisc<'_>> = on_disc.collect();
    let [first, ..] = systems.as_slice() else { return Err(Failure::Usage("the menu is empty".into())) };
    let (serial_port, firmware) = (first.system.platform().serial_port, Firmware::Bios);
    let step = context.progress.step("writing the disc");
    let contents = disc::Contents { kernel: &first.kernel, systems: &on_disc, serial_port, firmware };
    let written = disc::write(&disc, contents, &context.interrupts)?;
    step.done(&if written { disc.display().to_string() } else { "unchanged".into() });
    Ok(BuiltMenu { systems, disc })
}

/// Builds a system and writes it to files.
///
/// # Errors
///
/// When a tool is missing, the code does not compile, a program is not as it has to be, or a file cannot be written.
pub fn build(context: &Context, system: System) -> Result<Built, Failure> {
    build_with(context, system, BUILDER)
}

/// As [`build`], with a package that stands in for the builder's program, for tests of the kernel.
///
/// # Errors
///
/// As [`build`].
pub fn build_with(context: &Context, system: System, builder: &str) -> Result<Built, Failure> {
    let folder = context.folder(&system);
    build_changed(context, system, builder, &folder, |_| Ok(()))
}

/// As [`build_with`], with programs that somebody has changed since they were compiled, and into another folder.
///
/// # Errors
///
/// As [`build`], and those of `change`.
pub fn build_changed(
    context: &Context,
    system: System,
    builder: &str,
    folder: &Path,
    change: impl FnOnce(&mut Binaries) -> Result<(), Failure>,
) -> Result<Built, Failure> {
    tools::require(tools::BUILD, &context.progress, &context.interrupts)?;
    let compiled = compile(context, &system, builder, change)?;
    if trust::is_bounded(&system) {
        let facts = compiled.facts(context, &system)?;
        trust::judge(&system, &facts).map_err(|report| bad_manifest(&report))?;
    }
    write(context, system, compiled, folder)
}

/// What the programs of a system are made of, kernel and loader among them, whatever its manifest allows.
///
/// # Errors
///
/// When the code does not compile, a program is not as it has to be, or Cargo cannot tell.
pub fn facts(context: &Context, system: &System) -> Result<Facts, Failure> {
    compile(context, system, BUILDER, |_| Ok(()))?.facts(context, system)
}

/// A system's programs, in their places.
struct Compiled {
    symbols: Vec<u8>,
    kernel: Vec<u8>,
    plan: Plan,
}

fn compile(
    context: &Context,
    system: &System,
    builder: &str,
    change: impl FnOnce(&mut Binaries) -> Result<(), Failure>,
) -> Result<Compiled, Failure> {
    let symbols = context.compiler().build(Part::Kernel, &[KERNEL])?.pop().unwrap_or_default();
    let mut binaries = compile_components(context, system, builder)?;
    change(&mut binaries)?;
    context.interrupts.check()?;
    let symbols = read(&symbols)?;
    let kernel = disc::without_sections(&symbols)
        .ok_or_else(|| Failure::Failed("the kernel that the compiler made is no ELF file".into()))?;
    let plan = image_compiler::plan(system, &binaries).map_err(|report| bad_manifest(&report))?;
    Ok(Compiled { symbols, kernel, plan })
}

impl Compiled {
    fn facts(&self, context: &Context, system: &System) -> Result<Facts, Failure> {
        let loader = loader(context)?;
        let components = system.components();
        let mut programs = vec![
            (Part::Kernel, KERNEL, self.kernel.len() as u64),
            (Part::Loader, LOADER, loader.len() as u64),
        ];
        programs.extend(components.iter().zip(&self.plan.programs).map(|(component, program)| {
            (Part::Domains, component.package.as_str(), program.image.len() as u64)
        }));
        context.compiler().facts(&programs)
    }
}

/// Compiles a system's components, all in one go.
fn compile_components(context: &Context, system: &System, builder: &str) -> Result<Binaries, Failure> {
    let components = system.components();
    let mut packages: Vec<&str> = components.iter().map(|component| component.package.as_str()).collect();
    // The first component is the builder.
    packages[0] = builder;
    let programs = context.compiler().build(Part::Domains, &packages)?;
    let mut binaries = BTreeMap::new();
    for (component, program) in components.iter().zip(&programs) {
        binaries.insert(component.name.clone(), read(program)?);
    }
    Ok(Binaries(binaries))
}

/// Lays a system out and writes its files.
fn write(context: &Context, system: System, compiled: Compiled, folder: &Path) -> Result<Built, Failure> {
    let step = context.progress.step("writing the image");
    let Compiled { symbols, kernel, plan } = compiled;
    let image = image_compiler::image(&system, &plan);
    fs::create_dir_all(folder).map_err(|error| Failure::file("cannot make", folder, &error))?;
    let report = image_compiler::report(&system, Some((&plan, &image)));
    let files = [
        ("kernel.symbols.elf", &symbols[..]),
        ("kernel.elf", &kernel),
        ("system.img", &image),
        ("report.txt", report.as_bytes()),
    ];
    for (name, content) in files {
        disc::write_file(&folder.join(name), content)?;
    }
    step.done(&format!(
        "kernel {} KiB, image {} KiB",
        kernel.len().div_ceil(1024),
        image.len().div_ceil(1024)
    ));
    let step = context.progress.step("writing the disc");
    let path = folder.join("boot.iso");
    let serial_port = system.platform().serial_port;
    let firmware = Firmware::Bios;
    let contents =
        disc::Contents { kernel: &kernel, systems: &[OnDisc::only(&image)], serial_port, firmware };
    let written = disc::write(&path, contents, &context.interrupts)?;
    step.done(&if written { path.display().to_string() } else { "unchanged".into() });
    let symbols = folder.join("kernel.symbols.elf");
    Ok(Built { system, plan, image, kernel, folder: folder.to_owned(), disc: path, symbols })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::file("cannot read", path, &error))
}

fn bad_manifest(report: &Report) -> Failure {
    let text = if stderr().is_terminal() { report.coloured() } else { report.to_string() };
    let (count, noun) = (report.count(), if report.count() == 1 { "fault" } else { "faults" });
    Failure::Manifest(format!("{}\n{count} {noun}, nothing was built", text.trim_end()))
}
