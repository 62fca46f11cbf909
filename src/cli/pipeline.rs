//! `afterimage pipeline` and `afterimage generate`: settings and output around the pipelines.

use std::{future::Future, io::Write, path::Path};

use pipelines::{
    generate,
    orders::{self, Config},
    runtime::{Error, Shutdown, replay::Replay},
};

use crate::{
    Failed,
    args::{GenerateArgs, PipelineAction, PipelineArgs},
    logs, signals,
};

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed::new(if error.is_refused() { 3 } else { 1 }, error.to_string())
    }
}

fn known(name: &str) -> Result<(), Failed> {
    if pipelines::find(name).is_some() {
        return Ok(());
    }
    let names: Vec<&str> = pipelines::PIPELINES.iter().map(|pipeline| pipeline.name).collect();
    Err(Failed::new(2, format!("no pipeline is called {name}; there is {}", names.join(", "))))
}

fn block_on<T>(work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::new(1, format!("no threads could be started: {error}")))?
        .block_on(work)
}

/// A shutdown that the first signal triggers.
fn shutdown() -> Result<Shutdown, Failed> {
    let shutdown = Shutdown::new();
    let signal = signals::shutdown()?;
    let trigger = shutdown.clone();
    tokio::spawn(async move {
        signal.await;
        trigger.trigger();
    });
    Ok(shutdown)
}

fn load(file: Option<&Path>, more: Option<(String, String)>) -> Result<Config, Failed> {
    let text = file.map_or_else(|| Ok(String::new()), read)?;
    // The command line wins over the environment, the environment over the file.
    let overridden = more.as_ref().map(|(name, _)| name.clone());
    let environment = std::env::vars().filter(|(name, _)| Some(name) != overridden.as_ref());
    Ok(Config::load(&text, environment.chain(more))?)
}

fn config(args: &PipelineArgs) -> Result<Config, Failed> {
    let mut config = load(args.config.as_deref(), None)?;
    if let Some(workers) = args.workers {
        config.workers = usize::from(workers);
    }
    if let Some(instance) = &args.instance {
        config.instance.clone_from(instance);
    }
    if let Some(listen) = &args.listen {
        config.http.listen.clone_from(listen);
    }
    config.check()?;
    Ok(config)
}

fn read(path: &Path) -> Result<String, Failed> {
    std::fs::read_to_string(path).map_err(|error| Failed::new(3, format!("{} cannot be read: {error}", path.display())))
}

/// Runs a pipeline's command.
pub(crate) fn run(args: &PipelineArgs) -> Result<(), Failed> {
    known(&args.name)?;
    let config = config(args)?;
    block_on(async {
        let mut out = std::io::stdout();
        match args.action {
            PipelineAction::Run => {
                logs::plain(&args.log_level)?;
                orders::run(config, shutdown()?).await?;
            }
            PipelineAction::Init => orders::init(&config, &mut out).await?,
            PipelineAction::Status => orders::status(&config, &mut out).await?,
            PipelineAction::Test => orders::test(&config, &shutdown()?, &mut out).await?,
            PipelineAction::Monitor => orders::monitor(&config, &shutdown()?, &mut out).await?,
            PipelineAction::Replay => {
                let options = Replay { filter: args.filter.clone(), dry_run: args.dry_run };
                orders::replay(&config, &options, &mut out)?;
            }
            PipelineAction::Reset => {
                if !args.yes && !confirmed(&config)? {
                    return Err(Failed::new(1, "nothing was reset"));
                }
                orders::reset(&config, &mut out).await?;
            }
        }
        Ok(())
    })
}

fn confirmed(config: &Config) -> Result<bool, Failed> {
    print!(
        "Forget all state and positions of pipeline orders (instance {})? Everything is read again from the start. [y/N] ",
        config.instance
    );
    let failed = |error: std::io::Error| Failed::new(1, format!("the terminal cannot be read: {error}"));
    std::io::stdout().flush().map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}

/// Makes sample data.
pub(crate) fn generate(args: &GenerateArgs) -> Result<(), Failed> {
    known(&args.name)?;
    let url = args.mysql.as_ref().map(|url| ("AFTERIMAGE_ORDERS__MYSQL__URL".to_owned(), url.clone()));
    let config = load(args.config.as_deref(), url)?;
    let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let changes = args.live_seconds.map(|seconds| (seconds as f64 * args.live_rate) as u64);
    let load = generate::OrdersLoad {
        orders: count(args.count),
        lines: count(args.lines),
        incomplete: args.incomplete,
        rate: args.live_rate,
        changes,
        seed: args.seed,
    };
    block_on(async {
        let mut out = std::io::stdout();
        let made = generate::orders(&config.mysql, &load, &shutdown()?, &mut out).await?;
        writeln!(
            out,
            "{} orders and {} lines inserted, {} rows updated, {} deleted",
            made.orders, made.lines, made.updates, made.deletes
        )
        .map_err(|error| Failed::new(1, format!("writing output: {error}")))
    })
}
