//! The state folder of one instance: at most one process of a machine works in it.

use std::{
    fs::{File, TryLockError},
    io::Write,
    path::Path,
};

use super::Error;

/// Holds the folder until it is dropped or the process ends in any way.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Makes the folder if absent and takes it.
///
/// # Errors
/// [`Error::InUse`] names the process that holds it; [`Error::Io`] when it cannot be written.
pub fn lock(folder: &Path) -> Result<Lock, Error> {
    std::fs::create_dir_all(folder)
        .map_err(|e| Error::io(format_args!("state_dir: creating {}", folder.display()), &e))?;
    let path = folder.join("lock");
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|e| Error::io(format_args!("state_dir: opening {}", path.display()), &e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = std::fs::read_to_string(&path).unwrap_or_default();
            return Err(Error::InUse(format!(
                "{} is in use by process {}: stop it, or choose another --instance",
                folder.display(),
                holder.trim()
            )));
        }
        Err(TryLockError::Error(e)) => return Err(Error::io(format_args!("locking {}", path.display()), &e)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(|e| Error::io(format_args!("state_dir: writing {}", path.display()), &e))?;
    Ok(Lock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder() {
        let folder = tempfile::tempdir().expect("folder");
        let held = lock(folder.path()).expect("free");
        let refused = lock(folder.path()).expect_err("held");
        assert!(refused.is_refused() && refused.to_string().contains(&std::process::id().to_string()), "{refused}");
        drop(held);
        lock(folder.path()).expect("free again");
    }
}
