//! Model folders in Hugging Face's layout.

use std::path::Path;

use bert_data::tokenizer::Tokenizer;
use bert_model::{BertForPreTraining, save_pretrained};

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::files::write_folder;

/// Files of a checkpoint that only this program has a use for.
const OURS: [&str; 3] = ["optimizer.safetensors", "state.json", "manifest.json"];

/// Writes a pre-trained model and its tokenizer into `place`, whole or not at all.
pub(crate) fn save_model(place: &Path, model: &BertForPreTraining, tokenizer: &Tokenizer) -> Result<()> {
    write_folder(place, |folder| {
        write_model(folder, model)?;
        Ok(tokenizer.save(folder)?)
    })
}

/// `config.json` and `model.safetensors` of a pre-training model.
pub(crate) fn write_model(folder: &Path, model: &BertForPreTraining) -> Result<()> {
    let architecture = "BertForPreTraining";
    Ok(save_pretrained(folder, model.config(), model.parameters(), architecture, &[])?)
}

/// Copies the model of a checkpoint, verified, into the new folder `output`.
///
/// # Errors
/// [`Error::Request`] when `output` exists or `checkpoint` is none, [`Error::Checkpoint`] when it is damaged.
pub fn export(checkpoint: &Path, output: &Path) -> Result<()> {
    refuse_existing(output)?;
    let checkpoint = Checkpoint::open(checkpoint)?;
    write_folder(output, |folder| {
        let from = checkpoint.path();
        for entry in std::fs::read_dir(from).map_err(Error::io(from, "list the folder"))? {
            let entry = entry.map_err(Error::io(from, "list the folder"))?;
            let name = entry.file_name();
            if OURS.iter().all(|ours| name != *ours) {
                let to = folder.join(&name);
                std::fs::copy(entry.path(), &to).map_err(Error::io(&to, "write"))?;
            }
        }
        Ok(())
    })
}

/// Refuses to write where something is, other than an empty folder.
pub(crate) fn refuse_existing(output: &Path) -> Result<()> {
    let empty = std::fs::read_dir(output).is_ok_and(|mut entries| entries.next().is_none());
    if output.exists() && !empty {
        let shown = output.display();
        return Err(Error::Request(format!(
            "--output {shown}: exists already; choose another folder, or remove this one"
        )));
    }
    Ok(())
}
