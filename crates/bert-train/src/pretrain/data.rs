//! Vocabulary and examples: opened where the configuration names folders, built where it does not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bert_data::build::{BuildOptions, build};
use bert_data::examples::{ExampleSet, Split};
use bert_data::manifest::StaticMasks;
use bert_data::masking::MaskKind;
use bert_data::progress::{Bars, Progress, Silent};
use bert_data::tokenizer::Tokenizer;
use bert_data::vocab::{VocabOptions, train};
use bert_model::BertConfig;
use sha2::{Digest, Sha256};

use crate::config::{Masking, OPEN_VOCABULARY, PretrainConfig};
use crate::error::{Error, Result};
use crate::files::write_folder;
use crate::pretrain::init::Parent;

/// The examples of a phase.
#[derive(Debug, Clone)]
pub struct PhaseData {
    /// To train on.
    pub train: Arc<ExampleSet>,
    /// Held out.
    pub validation: Arc<ExampleSet>,
    /// SHA-256 of the dataset's manifest: what a checkpoint remembers the examples by.
    pub digest: String,
}

/// The vocabulary and the examples of every phase. What is missing is built under `folder` and found there the next time.
///
/// # Errors
/// What `bert-data` says of the input; vocabularies that differ between phases, or from that of the `parent`.
pub(super) fn prepare(
    config: &PretrainConfig,
    folder: &Path,
    parent: Option<&Parent>,
    quiet: bool,
) -> Result<(Tokenizer, Vec<PhaseData>)> {
    let bars = Bars::new();
    let progress: &dyn Progress = if quiet { &Silent } else { &bars };
    let tokenizer = tokenizer(config, folder, parent, progress)?;
    parent.map_or(Ok(()), |parent| parent.check_vocabulary(&tokenizer))?;
    let mut built: BTreeMap<PathBuf, PhaseData> = BTreeMap::new();
    let mut phases = Vec::with_capacity(config.phase.len());
    for (index, phase) in config.phase.iter().enumerate() {
        let place = match &phase.data {
            Some(given) => PathBuf::from(given),
            None => folder.join(format!("seq-{}", phase.seq_len)),
        };
        let data = match built.get(&place) {
            Some(data) => data.clone(),
            None => {
                if phase.data.is_none() {
                    build_examples(config, phase.seq_len, &place, &tokenizer, progress)?;
                }
                PhaseData::open(&place)?
            }
        };
        data.check(index, config, &place, &tokenizer)?;
        built.insert(place, data.clone());
        phases.push(data);
    }
    Ok((tokenizer, phases))
}

/// The model's configuration with the vocabulary's size filled in where it was left open.
///
/// # Errors
/// [`Error::Request`] when it was given and is smaller than the vocabulary.
pub(super) fn settle_vocabulary(model: &BertConfig, tokenizer: &Tokenizer) -> Result<BertConfig> {
    let tokens = tokenizer.vocab_size();
    let mut settled = model.clone();
    if model.vocab_size == OPEN_VOCABULARY {
        settled.vocab_size = tokens;
    } else if model.vocab_size < tokens {
        let given = model.vocab_size;
        return Err(Error::Request(format!(
            "model.vocab_size: {given} is below the vocabulary's {tokens} tokens; leave it out or raise it"
        )));
    }
    settled.pad_token_id = tokenizer.special().pad;
    Ok(settled)
}

fn tokenizer(
    config: &PretrainConfig,
    folder: &Path,
    parent: Option<&Parent>,
    progress: &dyn Progress,
) -> Result<Tokenizer> {
    let given = config.data.tokenizer.as_ref().map(PathBuf::from);
    let of_dataset = || {
        let data = config.phase.iter().find_map(|phase| phase.data.as_ref());
        data.map(|data| Path::new(data).join(bert_data::build::TOKENIZER_FOLDER))
    };
    if let Some(place) = given.or_else(of_dataset) {
        return Ok(Tokenizer::open(&place)?);
    }
    let place = folder.join("vocabulary");
    if !place.exists() {
        let options = VocabOptions {
            input: config.data.input.clone(),
            format: config.data.format,
            size: config.data.vocab_size,
            lowercase: config.data.lowercase,
            ..VocabOptions::default()
        };
        let write = |tokenizer: &Tokenizer| write_folder(&place, |aside| Ok(tokenizer.save(aside)?));
        match parent {
            Some(parent) => write(parent.tokenizer())?,
            None => write(&train(&options, progress)?)?,
        }
    }
    Ok(Tokenizer::open(&place)?)
}

/// Builds a dataset, or keeps the one that is there when it was made of the same files with the same settings.
fn build_examples(
    config: &PretrainConfig,
    seq_len: usize,
    place: &Path,
    tokenizer: &Tokenizer,
    progress: &dyn Progress,
) -> Result<()> {
    let options = BuildOptions {
        input: config.data.input.clone(),
        format: config.data.format,
        pairing: config.data.pairing,
        seq_len,
        short_seq_prob: config.data.short_seq_prob,
        validation: config.data.validation,
        seed: config.seed,
        output: place.to_owned(),
        // A run that was stopped while it built goes on with that, too.
        resume: true,
        ..BuildOptions::default()
    };
    build(&options, tokenizer, progress)?;
    Ok(())
}

impl PhaseData {
    /// Opens both splits of a dataset.
    pub fn open(place: &Path) -> Result<Self> {
        let train = ExampleSet::open(place, Split::Train)?;
        let manifest = serde_json::to_vec(train.manifest()).map_err(|error| Error::File {
            path: place.to_owned(),
            problem: format!("the manifest has no JSON form: {error}"),
        })?;
        let digest = Sha256::digest(manifest).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { train: Arc::new(train), validation: Arc::new(ExampleSet::open(place, Split::Validation)?), digest })
    }

    /// Refuses examples that this phase cannot be trained on.
    fn check(&self, phase: usize, config: &PretrainConfig, place: &Path, tokenizer: &Tokenizer) -> Result<()> {
        let seq_len = config.phase[phase].seq_len;
        let wrong = |problem: String| {
            let place = place.display();
            Err(Error::Request(format!("phase.{phase}.data: {place}: {problem}")))
        };
        let manifest = self.train.manifest();
        if manifest.tokenizer.digest != tokenizer.digest() {
            return wrong(
                "its examples were made with another vocabulary; name that one as data.tokenizer, or build them again"
                    .into(),
            );
        }
        let (found, wanted) = (manifest.settings.pairing, config.data.pairing);
        if found != wanted {
            let labels = if found.has_pairs() { "" } else { ", which have no pairs to tell apart" };
            return wrong(format!(
                "its examples are {}{labels}, and data.pairing is {}; set data.pairing=\"{}\" to train on them, or build \
                 them with --pairing {}",
                found.name(),
                wanted.name(),
                found.name(),
                wanted.name()
            ));
        }
        if let Some(problem) = mask_problem(manifest.settings.static_masks.as_ref(), config, phase) {
            return wrong(problem);
        }
        let longest = manifest.settings.seq_len;
        if longest > seq_len {
            return wrong(format!(
                "its examples have up to {longest} tokens and the phase's seq_len is {seq_len}; make them agree"
            ));
        }
        if self.train.is_empty() || self.validation.is_empty() {
            return wrong(
                "there are no training or no held-out examples; give more text, or another data.validation (as \
                 --validation to bert-data build)"
                    .into(),
            );
        }
        Ok(())
    }
}

/// What the configuration says of masks and the examples do not have: none of it is passed over.
fn mask_problem(found: Option<&StaticMasks>, config: &PretrainConfig, phase: usize) -> Option<String> {
    let masks = match (found, config.data.masking) {
        (None, Masking::Dynamic) => return None,
        (None, Masking::Static) => {
            return Some(
                "its examples have no masks, and data.masking is static; leave that key out to draw masks while training, or build \
                 them with --masking static"
                    .into(),
            );
        }
        (Some(_), Masking::Dynamic) => {
            return Some(
                "masks were drawn while it was built (--masking static), and [masking] would change nothing; set \
                 data.masking=\"static\" to train on those, or build it without --masking static"
                    .into(),
            );
        }
        (Some(masks), Masking::Static) => masks.masking,
    };
    let wanted = &config.masking;
    let name =
        |kind: MaskKind| serde_json::to_value(kind).ok().and_then(|v| v.as_str().map(String::from)).unwrap_or_default();
    let keys = [
        ("kind", name(masks.kind), name(wanted.kind)),
        ("rate", masks.rate.to_string(), wanted.rate.to_string()),
        ("mask", masks.mask.to_string(), wanted.mask.to_string()),
        ("random", masks.random.to_string(), wanted.random.to_string()),
    ];
    if let Some((key, found, wanted)) = keys.into_iter().find(|(_, found, wanted)| found != wanted) {
        return Some(format!(
            "its masks were drawn while building, with {key} {found}, and masking.{key} is {wanted}; make them agree, or build it \
             without --masking static to draw masks while training"
        ));
    }
    let (most, allowed) = (masks.max_predictions, config.phase[phase].max_predictions);
    (most > allowed).then(|| {
        format!("its examples have up to {most} masks, drawn while building, and phase.{phase}.max_predictions is {allowed}; raise it")
    })
}
