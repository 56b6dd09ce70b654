"""``egotwin data nymeria``: prepares clips for training from sequences in Nymeria's form, real or synthetic.

Every sequence is read, repaired, aligned, cut and filtered by one worker into one shard. OUT/train, OUT/val and
OUT/test hold the shards, and a manifest of what was kept and what was left out, and why. The same command resumes a
stopped run. Statistics of the motion features come from the train split alone.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from egotwin_model.errors import RecordingError
from egotwin_model.io.videos import Compression
from training.datasets.clips.clip_store import ClipManifest, shard_name, write_shard
from training.datasets.clips.cutting import Clip, CutSettings, Cutter
from training.datasets.clips.splits import SPLITS, SplitSettings, split_table
from training.datasets.nymeria.sequence_splits import read_visits, stored_assignment
from training.datasets.sequences.reasons import Reason, Unfit
from training.datasets.sequences.sequence_files import BODY, HEAD, METADATA, NARRATIONS
from training.datasets.sequences.sequence_reader import SequenceReader, ViewSettings
from training.workers.fanout import is_full_disk, run_command, run_shards

log = logging.getLogger("egotwin.nymeria")


@dataclass(frozen=True)
class PrepareSettings:
    """All settings of the clips; kept in the manifest."""

    view: ViewSettings = field(default_factory=ViewSettings)
    cut: CutSettings = field(default_factory=CutSettings)
    compression: Compression = field(default_factory=Compression)
    splits: SplitSettings = field(default_factory=SplitSettings)


@dataclass(frozen=True)
class Job:
    """One shard to make: the folders of its sequences, the folder it goes to and its name there."""

    folders: tuple[Path, ...]
    out: Path
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({len(self.folders)} sequences)"


@dataclass
class ShardResult:
    """The result of a job: the shard's manifest entry, facts of each sequence, and why sequences were left out."""

    entry: dict[str, Any] = field(default_factory=dict)
    sequences: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)


def make_shard(settings: PrepareSettings, job: Job) -> ShardResult:
    """Reads a job's sequences and writes their clips as one shard; runs in a worker."""
    import cv2

    cv2.setNumThreads(1)  # workers share the cores already
    made = ShardResult()
    clips = (clip for folder in job.folders for clip in _clips(settings, folder, made))
    made.entry = write_shard(job.out, job.name, clips, settings.cut.frame_rate, settings.compression)
    return made


def _clips(settings: PrepareSettings, folder: Path, made: ShardResult) -> Iterator[Clip]:
    """The clips of a sequence. An error in it is recorded in `made` and ends the sequence, not the shard."""
    try:
        reader = SequenceReader(folder, settings.view)
        cutter = Cutter(reader, settings.cut)
        kept = 0
        for clip in cutter.clips():
            yield clip
            kept += 1
        made.sequences[folder.name] = _found(reader, cutter, kept)
        made.skipped.update({str(reason): count for reason, count in cutter.skipped.items()})
    except Exception as error:
        if is_full_disk(error):
            raise
        reason = error.reason if isinstance(error, Unfit) else Reason.BROKEN
        made.left_out[folder.name] = f"{reason}: {error}"
        made.skipped[str(reason)] += 1


def _found(reader: SequenceReader, cutter: Cutter, kept: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "person": reader.person,
        "place": reader.place,
        "clips": kept,
        "skipped": {str(reason): count for reason, count in cutter.skipped.items()},
        "repaired_times": reader.body.repaired_times,
        "filled_rotations": int(reader.body.filled.sum()),
        "empty_narrations": reader.empty_narrations,
    }
    if reader.alignment is not None:
        found["alignment"] = {key: v for key, v in asdict(reader.alignment).items() if key != "T_device_head"}
        found["T_device_head"] = reader.T_device_head.tolist()
    return found


def find_sequences(folder: Path) -> list[Path]:
    """The sequences' folders in a folder, or the folder itself where it is one, by name."""
    parts = (METADATA, BODY, HEAD, *NARRATIONS.values())

    def is_sequence(path: Path) -> bool:
        return path.is_dir() and not path.name.startswith(".") and any((path / part).exists() for part in parts)

    if is_sequence(folder):
        return [folder]
    found = sorted(filter(is_sequence, folder.iterdir())) if folder.is_dir() else []
    if not found:
        raise RecordingError(f"{folder} holds no sequences: give a folder of folders with {BODY} and {HEAD}/")
    return found


@dataclass
class Preparation:
    """A run over a folder of sequences: the sequences, the shards that are left, and the manifests."""

    source: Path
    out: Path
    settings: PrepareSettings
    sequences_per_shard: int = 1
    retry: bool = False

    def run(self, workers: int = 1, address: str | None = None) -> dict[str, ClipManifest]:
        """Prepares the shards that are left; returns the manifests by split.

        Raises:
            RecordingError: no sequences, or `out` holds clips made with other settings, or without their splits.
        """
        splits = self._splits(find_sequences(self.source))
        manifests = {split: self._manifest(split) for split in SPLITS if split in splits.values() or split == "train"}
        for folder in (folder for folder, split in splits.items() if split is None):
            self._leave_out(manifests["train"], folder.name)
        jobs = [job for split, manifest in manifests.items() for job in self._jobs(split, manifest, splits)]
        total = sum(len(job.folders) for job in jobs)
        with tqdm(total=total, unit="sequence", desc="sequences", disable=None) as bar:

            def done(job: Job, made: ShardResult) -> None:
                manifest = manifests[job.out.name]
                manifest.shards[job.name] = {**made.entry, "sequences": [folder.name for folder in job.folders]}
                manifest.sequences |= made.sequences
                manifest.left_out |= made.left_out
                manifest.count(made.skipped)
                manifest.save(job.out)
                bar.update(len(job.folders))

            def broken(job: Job, reason: str) -> None:
                names = [folder.name for folder in job.folders]
                left_out = dict.fromkeys(names, f"{Reason.BROKEN}: {reason}")
                done(job, ShardResult({"clips": 0}, {}, left_out, Counter({str(Reason.BROKEN): len(names)})))

            make = partial(make_shard, self.settings)
            run_shards(make, jobs, workers=workers, address=address, on_done=done, on_broken=broken)
        for split, manifest in manifests.items():
            manifest.save(self.out / split)
        return manifests

    def _splits(self, folders: Sequence[Path]) -> dict[Path, str | None]:
        """The split of each sequence, printed as a table; None where its person and place have different ones."""
        visits = read_visits(folders)
        assignment = stored_assignment(self.out, visits, self.settings.splits)
        print(split_table(visits, assignment), flush=True)
        return {folder: assignment.of(visits[folder.name]) for folder in folders}

    def _manifest(self, split: str) -> ClipManifest:
        """The manifest of a split, loaded or new; unfinished files of a killed run are removed."""
        folder, cut = self.out / split, self.settings.cut
        wanted = ClipManifest(split, _plain(asdict(self.settings)), cut.frame_rate, cut.pose_rate)
        for leftover in folder.glob(".*-*.tar"):
            leftover.unlink()
        if not (folder / "manifest.json").exists():
            return wanted
        found = ClipManifest.load(folder)
        if found.settings() != wanted.settings():
            raise RecordingError(f"{folder} holds clips made with other settings: choose another --out, or remove it")
        lost = [n for n, e in found.shards.items() if e["clips"] and not (folder / f"{n}.tar").is_file()]
        for name in lost:
            for sequence in found.shards.pop(name)["sequences"]:
                skipped = found.sequences.pop(sequence, {}).get("skipped", {})
                found.count({reason: -count for reason, count in skipped.items()})
        return found

    def _leave_out(self, manifest: ClipManifest, name: str) -> None:
        if name not in manifest.left_out:
            manifest.left_out[name] = str(Reason.SPLIT)
            manifest.count({Reason.SPLIT: 1})

    def _jobs(self, split: str, manifest: ClipManifest, splits: dict[Path, str | None]) -> list[Job]:
        """Shards that are not finished yet."""
        done = set(manifest.sequences) | set(manifest.left_out)
        if self.retry:
            self._forget_left_out(manifest)
            done = set(manifest.sequences)
        left = [folder for folder, of in splits.items() if of == split and folder.name not in done]
        groups = [left[i : i + self.sequences_per_shard] for i in range(0, len(left), self.sequences_per_shard)]
        taken = {name for name, entry in manifest.shards.items() if entry["clips"]}
        return [Job(tuple(group), self.out / split, _free_name(group[0].name, taken)) for group in groups]

    @staticmethod
    def _forget_left_out(manifest: ClipManifest) -> None:
        for name, why in list(manifest.left_out.items()):
            reason = why.partition(":")[0]
            if reason != Reason.SPLIT:
                del manifest.left_out[name]
                manifest.count({reason: -1})


def _free_name(sequence: str, taken: set[str]) -> str:
    """An unused name for a shard, added to `taken`."""
    names = (shard_name(f"{sequence[:70]}{suffix}") for suffix in ("", *(f"-{k}" for k in range(2, 10**6))))
    name = next(name for name in names if name not in taken)
    taken.add(name)
    return name


def write_statistics(out: Path) -> Path | None:
    """``statistics.safetensors``: of the train split's motion features; None without clips."""
    from egotwin_model.io.store import save_tensors
    from egotwin_model.motion.head_centric import HeadCentric
    from egotwin_model.motion.statistics import MotionStatistics
    from training.datasets.clips.dataset import open_clips

    clips, representation = open_clips(out / "train"), HeadCentric()
    if len(clips) == 0:
        return None
    features = (
        representation.encode(shard["positions"], shard["rotations"])
        for shard in clips.shards("positions", "rotations")
    )
    path = out / "train" / "statistics.safetensors"
    save_tensors(path, MotionStatistics.fit(features, representation.slices).to_tensors())
    return path


def _plain(value: Any) -> Any:
    """Settings as JSON returns them, so that stored ones compare equal."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = argparse.ArgumentParser(
        prog="egotwin data nymeria",
        description="Turns sequences in Nymeria's form (real or synthetic) into 5 s clips to train on.",
    )
    add, view, cut, splits = options.add_argument, ViewSettings(), CutSettings(), SplitSettings()
    add("sequences", type=Path, help="folder of sequences' folders")
    add("--out", type=Path, required=True, help="folder for train/, val/ and test/; the same command resumes")
    add("--size", type=int, default=view.size, help="side of the square images, pixels (default: %(default)s)")
    add("--fov", type=float, default=view.fov_deg, help="field of view of the images, degrees (default: %(default)s)")
    add("--at", choices=["narration", "regular"], default=cut.at, help="clips begin where a text does, or regularly")
    add("--stride", type=float, default=cut.stride_s, help="seconds between regular clips (default: %(default)s)")
    add("--max-still", type=float, default=cut.max_still_s, help="longest standstill kept, s (default: %(default)s)")
    add("--least-quality", type=float, default=cut.least_quality, help="of tracking, 0 to 1 (default: %(default)s)")
    add("--least-overlap", type=float, default=cut.least_overlap, help="of a text with a clip (default: %(default)s)")
    add("--crf", type=int, default=Compression().crf, help="H.264 quality, 0 lossless to 51 (default: %(default)s)")
    add("--val-share", type=float, default=splits.val_share, help="of clips (default: %(default)s)")
    add("--test-share", type=float, default=splits.test_share, help="of clips (default: %(default)s)")
    add("--split-seed", type=int, default=splits.seed, help="of the search for splits (default: %(default)s)")
    add("--val-places", nargs="*", default=(), help="places that are val, instead of a share")
    add("--test-places", nargs="*", default=(), help="places that are test, instead of a share")
    add("--sequences-per-shard", type=int, default=1, help="more for short sequences (default: %(default)s)")
    add("--retry", action="store_true", help="retry sequences that were left out")
    add("--workers", type=int, default=2, help="processes at a time (default: %(default)s)")
    add("--ray", metavar="ADDRESS", help="of a Ray cluster whose workers see both folders (auto: this machine's)")
    return options


def settings_of(options: argparse.Namespace) -> PrepareSettings:
    """The options as settings."""
    return PrepareSettings(
        ViewSettings(size=options.size, fov_deg=options.fov),
        CutSettings(
            at=options.at, stride_s=options.stride, max_still_s=options.max_still,
            least_quality=options.least_quality, least_overlap=options.least_overlap,
        ),
        Compression(crf=options.crf),
        SplitSettings(
            options.val_share, options.test_share, options.split_seed,
            val_places=tuple(options.val_places), test_places=tuple(options.test_places),
        ),
    )  # fmt: skip


def summary(manifests: dict[str, ClipManifest]) -> str:
    """The result, one line per split and one per reason."""
    lines = [_split_line(split, manifest) for split, manifest in manifests.items()]
    skipped: Counter[str] = Counter()
    for manifest in manifests.values():
        skipped.update(manifest.skipped)
    return "\n".join([*lines, *(f"left out: {count} × {reason}" for reason, count in skipped.most_common())])


def _split_line(split: str, manifest: ClipManifest) -> str:
    facts = manifest.sequences.values()
    people, places = ({fact[key] for fact in facts} for key in ("person", "place"))
    return (
        f"{split}: {manifest.finished_clips} clips of {len(facts)} sequences, {len(people)} people, "
        f"{len(places)} places"
    )


def main(argv: list[str] | None = None) -> int:
    """Runs the command; 0 done, 1 no clips or full disk, 2 bad input, 130 interrupted."""
    options = parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    return run_command("egotwin data nymeria", lambda: _prepare(options))


def _prepare(options: argparse.Namespace) -> int:
    run = Preparation(options.sequences, options.out, settings_of(options), options.sequences_per_shard, options.retry)
    manifests = run.run(options.workers, options.ray)
    write_statistics(options.out)
    print(summary(manifests))
    return 0 if any(manifest.finished_clips for manifest in manifests.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
