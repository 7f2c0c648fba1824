"""YAML, Hydra's overrides and every way of getting them wrong."""

import contextlib
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import modelwright as mw
from modelwright.base.errors import BadValue, Misuse, ModelwrightError, SourceMissing, UnknownName
from modelwright.lab.compose import compose_design, list_experiments, shipped_folder

HEAD = """\
question: {hypothesis: a forest beats a tree, metric: accuracy, margin: 0.0, smallest_effect: 0.05}
data: {kind: sklearn, name: wine}
split: {kind: stratified, test: 0.3}
"""
VARIANTS = """\
variants:
  forest: {learner: sklearn.ensemble.RandomForestClassifier, n_estimators: 5}
  tree: {learner: sklearn.tree.DecisionTreeClassifier}
"""
DESIGN = HEAD + VARIANTS + "seeds: 6\n"

Write = Callable[[Mapping[str, str | bytes]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes files under `experiments/` and returns the project's root."""

    def writer(files: Mapping[str, str | bytes], root: Path = tmp_path) -> Path:
        for name, content in files.items():
            file = root / "experiments" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return root

    return writer


def hydra_state() -> tuple[object, ...]:
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.utils import JobRuntime
    from hydra.version import VersionBase
    from omegaconf import OmegaConf

    return (
        GlobalHydra.instance().hydra,
        VersionBase.instance().version_base,
        HydraConfig.instance().cfg,
        dict(JobRuntime.instance().conf),
        OmegaConf.has_resolver("hydra"),
        OmegaConf.has_resolver("now"),
    )


# ---- what composes ----


def test_a_design_is_the_same_from_yaml_and_from_python(write: Write) -> None:
    composed, launch = compose_design("wines", root=write({"wines.yaml": DESIGN}))
    made = mw.Design(
        name="wines",
        question=mw.Question(hypothesis="a forest beats a tree", metric="accuracy", smallest_effect=0.05),
        data=mw.Source(kind="sklearn", name="wine"),
        split=mw.SplitPlan(kind="stratified", test=0.3),
        variants={
            "forest": {"learner": "sklearn.ensemble.RandomForestClassifier", "n_estimators": 5},
            "tree": {"learner": "sklearn.tree.DecisionTreeClassifier"},
        },
        seeds=6,
    )
    assert composed == made
    assert composed.hash == made.hash
    assert launch == mw.Launch()


def test_a_new_setting_leaves_the_hash_of_older_designs_as_it_was(tmp_path: Path) -> None:
    # A journal knows a design by its hash: one that changes makes every registered experiment a stranger.
    known = {"digits": "e73bf0a26e83", "wine": "8b520b119de7", "diabetes": "a681a6b341c8"}
    for name, start in known.items():
        assert compose_design(name, root=tmp_path)[0].hash.startswith(start)


def test_the_order_and_the_layout_of_yaml_do_not_matter_to_the_hash(write: Write) -> None:
    turned = "seeds: 6.0\n" + VARIANTS + HEAD + "# a comment\nalpha: 0.05\nbudget: null\nrule:\n"
    root = write({"a.yaml": "name: w\n" + DESIGN, "b.yaml": "name: w\n" + turned})
    assert compose_design("a", root=root)[0].hash == compose_design("b", root=root)[0].hash


def test_the_projects_own_experiments_come_before_the_shipped_ones(write: Write) -> None:
    root = write({"digits.yaml": DESIGN})
    assert list_experiments(root)["digits"] == root / "experiments" / "digits.yaml"
    assert compose_design("digits", root=root)[0].data.name == "wine"
    assert {file.stem for file in shipped_folder().glob("*.yaml")} <= set(list_experiments(root))


@pytest.mark.parametrize("name", sorted(list_experiments(Path("/nonexistent"))))
def test_every_shipped_experiment_composes_in_an_empty_folder(name: str, tmp_path: Path) -> None:
    assert compose_design(name, root=tmp_path)[0].name == name


@pytest.mark.parametrize(
    "folder",
    [
        "with space",
        "it's",
        "a=b",
        "a,b",
        "a[b]",
        "{b}",
        "größe",
        "a:b",
        "a%20b",
        "#b",
        "$b",
        "${x}",
        '"',
        "a\\'b",
        "a?",
    ],
)
def test_a_project_may_stand_in_a_folder_of_any_name(folder: str, tmp_path: Path, write: Write) -> None:
    root = tmp_path / folder
    write({"own.yaml": DESIGN, "base.yaml": DESIGN, "variants/net.yaml": "net: {learner: mlp}"}, root)  # type: ignore[call-arg]
    (root / "elsewhere").mkdir()
    # From elsewhere, the project's experiments are found through the search path.
    (root / "elsewhere" / "heir.yaml").write_text("defaults: [base, _self_]\nseeds: 9\n")
    assert compose_design("own", ["seeds=7"], root=root)[0].seeds == 7
    assert compose_design("elsewhere/heir.yaml", root=root)[0].seeds == 9


def test_a_file_outside_the_project_is_named_by_its_path(write: Write, tmp_path: Path) -> None:
    root = write({"own.yaml": DESIGN})
    outside = tmp_path / "else" / "where"
    outside.mkdir(parents=True)
    (outside / "b.yaml").write_text(DESIGN)
    assert compose_design(str(outside / "b.yaml"), root=root)[0].name == "b"
    assert compose_design("../else/where/b.yaml", root=root / "experiments")[0].name == "b"


def test_a_group_beside_a_file_outside_the_project_can_be_chosen(write: Write, tmp_path: Path) -> None:
    root = write({"own.yaml": DESIGN})
    outside = tmp_path / "elsewhere"
    (outside / "variants").mkdir(parents=True)
    (outside / "b.yaml").write_text(f"defaults: [variants: small, _self_]\n{HEAD}seeds: 4\n")
    for name, width in (("small", 4), ("large", 64)):
        text = f"net: {{learner: mlp, width: {width}}}\nline: {{learner: logistic_regression}}\n"
        (outside / "variants" / f"{name}.yaml").write_text(text)
    design, _ = compose_design("elsewhere/b.yaml", ["variants=large"], root=root)
    assert design.variants["net"]["width"] == 64


def test_a_link_keeps_the_name_and_the_neighbours_of_its_place(write: Write, tmp_path: Path) -> None:
    root = write({"base.yaml": DESIGN})
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "x1.yaml").write_text("defaults: [base, _self_]\nseeds: 9\n")
    (root / "experiments" / "linked.yaml").symlink_to(tmp_path / "store" / "x1.yaml")
    for name in ("linked", "experiments/linked.yaml"):
        design, _ = compose_design(name, root=root)
        assert (design.name, design.seeds) == ("linked", 9)


GROUPS = {
    "a.yaml": f"defaults: [variants: two, _self_]\n{HEAD}seeds: 6\n",
    "b.yaml": "defaults: [variants/net: small, nets@variants.far: tiny, _self_]\n" + HEAD + "seeds: 6\n"
    "variants:\n  line: {learner: logistic_regression}\ncompare: [[net, line], [far, line]]\n",
    "variants/two.yaml": "net: {learner: mlp}\nline: {learner: logistic_regression}\n",
    "variants/other.yaml": "net: {learner: mlp, width: 3}\nline: {learner: logistic_regression}\n",
    "variants/third.yaml": "flat: {learner: linear_regression}\n",
    "variants/net/small.yaml": "learner: mlp\nwidth: 4\n",
    "nets/tiny.yaml": "learner: mlp\nwidth: 2\n",
    "nets/huge.yaml": "learner: mlp\nwidth: 99\n",
    "variants/net/large.yaml": "learner: mlp\nwidth: 64\n",
}


@pytest.mark.parametrize(
    ("name", "overrides", "variant", "expected"),
    [
        ("a", [], "net", {"learner": "mlp"}),
        ("a", ["variants=other"], "net", {"learner": "mlp", "width": 3}),
        ("a", ["variants=other", "variants.net.width=5"], "net", {"learner": "mlp", "width": 5}),
        ("a", ["variants={net: {width: 8}}"], "net", {"learner": "mlp", "width": 8}),
        ("b", [], "net", {"learner": "mlp", "width": 4}),
        ("b", ["variants/net=large"], "net", {"learner": "mlp", "width": 64}),
        ("b", [], "far", {"learner": "mlp", "width": 2}),
        ("b", ["nets@variants.far=huge"], "far", {"learner": "mlp", "width": 99}),
        (
            "a",
            ["variants=[two,third]", "compare=[[net,line],[flat,line]]"],
            "flat",
            {"learner": "linear_regression"},
        ),
    ],
)
def test_config_groups_compose_as_in_hydra(
    name: str, overrides: list[str], variant: str, expected: dict[str, Any], write: Write
) -> None:
    design, _ = compose_design(name, overrides, root=write(GROUPS))
    assert design.variants[variant] == expected


@pytest.mark.parametrize(
    ("override", "read", "expected"),
    [
        ("seeds=9", lambda d: d.seeds, 9),
        ("++seeds=9", lambda d: d.seeds, 9),
        ("seeds= 9", lambda d: d.seeds, 9),
        ("+alpha=0.01", lambda d: d.alpha, 0.01),
        ("alpha=0.01", lambda d: d.alpha, 0.01),
        ("rule={kind: group_sequential, looks: [3, 6]}", lambda d: d.rule.looks, (3, 6)),
        ("budget=null", lambda d: d.budget.seconds, None),
        ("spread=null", lambda d: d.spread, None),
        (
            "accept=[constant-column,missing-values]",
            lambda d: d.accept,
            ("constant-column", "missing-values"),
        ),
        ("accept=[]", lambda d: d.accept, ()),
        ("compare=[[tree,forest]]", lambda d: d.compare, (("tree", "forest"),)),
        ("question.hypothesis='a, b = {c}: größer'", lambda d: d.question.hypothesis, "a, b = {c}: größer"),
        ('question.hypothesis="it is \\"so\\""', lambda d: d.question.hypothesis, 'it is "so"'),
        ("question.hypothesis=three plain words", lambda d: d.question.hypothesis, "three plain words"),
        ("question.margin=${question.smallest_effect}", lambda d: d.question.margin, 0.05),
        ("variants.forest.n_estimators=${seeds}", lambda d: d.variants["forest"]["n_estimators"], 6),
        ("variants.forest.max_depth=null", lambda d: d.variants["forest"]["max_depth"], None),
        ("~variants.forest.n_estimators", lambda d: dict(d.variants["forest"]).get("n_estimators"), None),
        ("name=other", lambda d: d.name, "other"),
    ],
)
def test_overrides_follow_hydras_grammar(
    override: str, read: Callable[[mw.Design], object], expected: object, write: Write
) -> None:
    assert read(compose_design("w", [override], root=write({"w.yaml": DESIGN}))[0]) == expected


def test_a_group_that_the_file_sets_can_be_changed_and_taken_away(write: Write) -> None:
    looks = "rule: {kind: group_sequential, looks: [3, 6]}\n"
    root = write({"w.yaml": DESIGN + looks + "budget: {seconds: 5}\n"})
    assert compose_design("w", root=root)[0].budget.seconds == 5
    assert compose_design("w", ["budget.seconds=7"], root=root)[0].budget.seconds == 7
    assert compose_design("w", ["budget={seconds: 8}"], root=root)[0].budget.seconds == 8
    assert compose_design("w", ["~budget"], root=root)[0].budget.seconds is None


def test_an_open_value_can_be_given(write: Write) -> None:
    root = write({"w.yaml": DESIGN.replace("seeds: 6", "seeds: ???")})
    assert compose_design("w", ["seeds=4"], root=root)[0].seeds == 4


def test_how_to_launch_is_no_part_of_the_design(write: Write) -> None:
    root = write({"w.yaml": DESIGN})
    plain, _ = compose_design("w", root=root)
    design, launch = compose_design("w", ["executor=ray", "workers=3", "threads=2", "address=x:1"], root=root)
    assert launch == mw.Launch(executor="ray", workers=3, threads=2, address="x:1")
    assert design.hash == plain.hash
    assert not {"executor", "workers", "threads", "address"} & set(design.record())


# ---- what is refused ----

WRONG_FILES: list[tuple[str, str | bytes, type[ModelwrightError], str]] = [
    ("empty", " \n", BadValue, "is empty"),
    ("only a comment", "# later\n", BadValue, "needs question"),
    ("a list", "- a\n- b\n", BadValue, "ListConfig"),
    ("a scalar", "hello\n", UnknownName, "hello"),
    ("tabs", "question:\n\thypothesis: x\n", BadValue, "no tabs"),
    ("a key twice", DESIGN + "seeds: 7\n", BadValue, "line 8: found duplicate key seeds"),
    ("a key twice inside", DESIGN.replace("tree:", "forest:"), BadValue, "duplicate key forest"),
    ("an open bracket", DESIGN + "accept: [a\n", BadValue, "is YAML"),
    ("a bare interpolation in braces", DESIGN + "budget: {seconds: ${seeds}}\n", BadValue, '"${name}"'),
    ("settings of Hydra's", "hydra: {run: {dir: x}}\n" + DESIGN, BadValue, "not Hydra's"),
    ("a budget for one look", DESIGN + "budget: {seconds: 5}\n", BadValue, "one look, at all 6 seeds"),
    ("binary", bytes(range(256)), BadValue, "UTF-8"),
    ("NUL bytes", b"seeds: 6\x00\n", BadValue, "is YAML"),
    ("Latin-1", DESIGN.replace("a tree", "die Größe").encode("latin-1"), BadValue, "byte 0xf6 in line 1"),
    ("UTF-16", DESIGN.encode("utf-16"), BadValue, "UTF-8"),
    ("huge", b"# " + b"x" * 2**20 + b"\n", BadValue, "at most 1 MiB"),
    ("endless nesting", "a: " + "[" * 3000 + "\n", BadValue, "without end"),
    ("a missing file in defaults", "defaults: [digts, _self_]\n" + DESIGN, UnknownName, "Nearest: digits"),
    (
        "a missing group in defaults",
        "defaults: [variants: x, _self_]\n" + DESIGN,
        UnknownName,
        "folder variants",
    ),
    ("itself in defaults", "defaults: [w, _self_]\n" + DESIGN, BadValue, "make one design"),
    ("an open value", DESIGN.replace("seeds: 6", "seeds: ???"), BadValue, "leaves seeds open"),
    ("an interpolation of nothing", DESIGN + "alpha: ${alfa}\n", BadValue, "alfa"),
    ("a time as a value", DESIGN + "alpha: ${now:%S}\n", BadValue, "now"),
    ("NaN", DESIGN.replace("0.05", ".nan"), BadValue, "question.smallest_effect"),
    ("infinity", DESIGN.replace("margin: 0.0", "margin: -.inf"), BadValue, "margin"),
    ("NaN as margin", DESIGN.replace("margin: 0.0", "margin: .nan"), BadValue, "margin"),
    ("NaN in a variant", DESIGN.replace("n_estimators: 5", "ccp_alpha: .nan"), BadValue, "finite"),
    ("true as a number", DESIGN.replace("seeds: 6", "seeds: true"), BadValue, "whole number"),
    ("text as a number", DESIGN.replace("seeds: 6", "seeds: six"), BadValue, "whole number"),
    ("a fraction of a seed", DESIGN.replace("seeds: 6", "seeds: 6.5"), BadValue, "whole number"),
    ("too large a number", DESIGN.replace("seeds: 6", "seeds: 1e400"), BadValue, "whole number"),
    ("a variant called on", DESIGN.replace("tree:", "on:"), BadValue, "in quotes"),
    ("a wrong name", DESIGN + "sedes: 7\n", UnknownName, "Nearest: seeds"),
    ("a wrong name inside", DESIGN.replace("metric:", "metrik:"), UnknownName, "Nearest: metric"),
    ("hydra's own settings misplaced", DESIGN + "_target_: os.system\n", UnknownName, "_target_"),
]


@pytest.mark.parametrize(
    ("text", "kind", "says"), [case[1:] for case in WRONG_FILES], ids=[c[0] for c in WRONG_FILES]
)
def test_a_file_that_is_no_design_is_refused_with_its_reason(
    text: str | bytes, kind: type[ModelwrightError], says: str, write: Write
) -> None:
    root = write({"w.yaml": text})
    before = hydra_state()
    with pytest.raises(kind) as caught:
        compose_design("w", root=root)
    assert says in str(caught.value) + " ".join(getattr(caught.value, "__notes__", []))
    assert hydra_state() == before


def test_a_file_that_may_not_be_read_is_refused(write: Write) -> None:
    root = write({"w.yaml": DESIGN})
    (root / "experiments" / "w.yaml").chmod(0)
    if os.access(root / "experiments" / "w.yaml", os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(SourceMissing, match="can be read"):
        compose_design("w", root=root)


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("wyne", UnknownName, "Nearest: wine"),
        ("Digits", UnknownName, "Nearest: digits"),
        ("", UnknownName, "experiment"),
        ("x/y", UnknownName, "path of a .yaml file"),
        ("../w", UnknownName, "path of a .yaml file"),
        ("experiments/w", UnknownName, "Nearest: experiments/w.yaml"),
        ("experiments/v.yaml", SourceMissing, "Nearest: w.yaml"),
        ("/nonexistent/w.yaml", SourceMissing, "/nonexistent/w.yaml"),
        ("experiments/folder.yaml", SourceMissing, "is a folder"),
        ("folder", UnknownName, "experiment"),
        ("old", BadValue, "Nearest: old.yaml"),
        ("experiments/old.yml", BadValue, "Nearest: old.yaml"),
    ],
)
def test_a_name_that_nothing_answers_to_is_refused_with_the_nearest(
    name: str, kind: type[ModelwrightError], says: str, write: Write
) -> None:
    root = write({"w.yaml": DESIGN, "old.yml": DESIGN, "folder.yaml/x.txt": ""})
    with pytest.raises(kind) as caught:
        compose_design(name, root=root)
    assert says in str(caught.value)


WRONG_OVERRIDES: list[tuple[str, type[ModelwrightError], str]] = [
    ("seeds", BadValue, "Nearest: seeds=..."),
    ("=3", BadValue, "name=value"),
    ("+=", BadValue, "name=value"),
    ("~", BadValue, "name=value"),
    ("", BadValue, "name=value"),
    ("\u00a0", BadValue, "name=value"),
    ("-m", BadValue, "name=value"),
    (" seeds=3", BadValue, "Nearest: seeds=3"),
    ("seeds =3", BadValue, "Nearest: seeds=3"),
    ("seeds=", BadValue, "whole number"),
    ("seeds=nan", BadValue, "whole number"),
    ("seeds='7'", BadValue, "whole number"),
    ("seeds={", BadValue, "grammar"),
    ("sëeds=3", BadValue, "grammar"),
    ("a=b=c", BadValue, "Nearest: a='b=c'"),
    ("question.hypothesis=größer", BadValue, "Nearest: question.hypothesis='größer'"),
    ("rule.looks=4,6", BadValue, "Nearest: rule.looks=[4,6]"),
    ("seeds=range(1,3)", BadValue, "one value"),
    ("~budget", BadValue, "has its default"),
    ("~seedz", BadValue, "Nearest: seeds"),
    ("~seeds", BadValue, "needs seeds"),
    ("+seeds=4", BadValue, "already"),
    ("seed=3", UnknownName, "Nearest: seeds"),
    ("execuor=ray", UnknownName, "Nearest: executor"),
    ("executor=rai", UnknownName, "Nearest: ray"),
    ("workers=0", BadValue, "at least 1"),
    ("threads=true", BadValue, "whole number"),
    ("question.metrc=x", UnknownName, "Nearest: metric"),
    ("question.metric=acuracy", UnknownName, "Nearest: accuracy"),
    ("question.direction=maximise", UnknownName, "Nearest: maximize"),
    ("rule.kin=fixed", UnknownName, "Nearest: kind"),
    ("rule.kind=fixd", UnknownName, "Nearest: fixed"),
    ("rule.spending=pocok", UnknownName, "Nearest: pocock"),
    ("rule.test=sign_flp", UnknownName, "Nearest: sign_flip"),
    ("split.kind=stratifed", UnknownName, "Nearest: stratified"),
    ("correction=hlm", UnknownName, "Nearest: holm"),
    ("scope=new_dat", UnknownName, "Nearest: new_data"),
    ("data.name=wne", UnknownName, "Nearest: wine"),
    ("data.kind=cvs", UnknownName, "Nearest: csv"),
    ("budget.second=3", UnknownName, "Nearest: seconds"),
    ("budget=3", BadValue, "group of settings"),
    ("variants.forst.n_estimators=3", BadValue, "Nearest: variants.forest"),
    ("variants.forest=null", BadValue, "variants.forest"),
    ("variants=[1,2]", BadValue, "make one design"),
    ("~variants.forest", BadValue, "at least two variants"),
    ("compare=[forest,tree]", BadValue, "Nearest: compare=[[forest,tree]]"),
    ("compare=[[forest,tre]]", UnknownName, "Nearest: tree"),
    ("compare=[[forest,tree,x]]", BadValue, "pairs"),
    ("accept=constant-column", BadValue, "Nearest: accept=[constant-column]"),
    ("name=a/b", BadValue, "Nearest: a-b"),
    ("name=..", BadValue, "name"),
    ("hydra.searchpath=[]", UnknownName, "hydra.searchpath"),
    ("+hydra/launcher=basic", UnknownName, "hydra/launcher"),
    ("defaults=[]", UnknownName, "defaults"),
    ("data=w2", UnknownName, "Nearest: w1"),
    ("alpha=${alfa}", BadValue, "alfa"),
]


@pytest.mark.parametrize(
    ("override", "kind", "says"), WRONG_OVERRIDES, ids=[case[0] for case in WRONG_OVERRIDES]
)
def test_an_override_that_cannot_be_meant_is_refused_with_its_reason(
    override: str, kind: type[ModelwrightError], says: str, write: Write
) -> None:
    text = DESIGN.replace("data: {kind: sklearn, name: wine}\n", "")
    files = {"w.yaml": DESIGN}
    if override == "data=w2":
        files = {
            "w.yaml": "defaults: [data: w1, _self_]\n" + text,
            "data/w1.yaml": "kind: sklearn\nname: wine\n",
        }
    root = write(files)
    before = hydra_state()
    with pytest.raises(kind) as caught:
        compose_design("w", [override], root=root)
    assert says in str(caught.value)
    assert hydra_state() == before


def test_one_text_is_no_list_of_overrides(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="list of texts"):
        compose_design("digits", "seeds=3", root=tmp_path)
    with pytest.raises(BadValue, match="is a text"):
        compose_design("digits", [3], root=tmp_path)  # type: ignore[list-item]


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tail=st.text(max_size=12),
    head=st.sampled_from(["", "seeds=", "variants.convnet.", "+", "~", "question.hypothesis="]),
)
@example(tail="\ud800", head="question.hypothesis=")
@example(tail="${seeds}", head="question.hypothesis=")
@example(tail="${a:b}", head="question.hypothesis=")
def test_any_text_as_an_override_composes_or_is_refused_as_misuse(
    tail: str, head: str, tmp_path: Path
) -> None:
    before = hydra_state()
    with contextlib.suppress(Misuse):
        compose_design("digits", [head + tail], root=tmp_path)
    assert hydra_state() == before


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=40) | st.text("abc:{}[]-?&*!|>'\"%@` \n\t#,${}.~", max_size=40).map(str.encode)
)
@example(content=b"defaults: 3\n")
@example(content=b"defaults: [{a: {b: c}}]\n")
@example(content=b"a: &a [*a]\n")
@example(content=b"!!python/object:os.system {}\n")
@example(content=b"hydra: 3\n")
def test_any_file_composes_or_is_refused_as_misuse(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(content)
    with pytest.raises(Misuse):
        compose_design("x.yaml", root=tmp_path)


# ---- company ----


def test_hydras_state_is_left_as_it_was_inside_a_program_that_uses_hydra(
    write: Write, tmp_path: Path
) -> None:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    root = write({"w.yaml": DESIGN})
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "app.yaml").write_text("answer: 42\n")
    with initialize_config_dir(str(tmp_path / "theirs"), version_base="1.2", job_name="theirs"):
        before = hydra_state()
        assert compose("app").answer == 42
        assert compose_design("w", ["seeds=7"], root=root)[0].seeds == 7
        with pytest.raises(Misuse):
            compose_design("w", ["sedes=7"], root=root)
        with pytest.raises(Misuse):
            compose_design("w", ["seeds={"], root=root)
        assert hydra_state() == before
        assert compose("app", overrides=["answer=43"]).answer == 43
    assert not GlobalHydra.instance().is_initialized()


def test_designs_compose_in_many_threads_at_once_beside_a_program_that_uses_hydra(write: Write) -> None:
    from hydra import compose, initialize_config_dir

    root = write({"w.yaml": DESIGN})
    wrong: list[object] = []

    def work(number: int) -> None:
        for seeds in range(2, 7):
            design, _ = compose_design("w", [f"seeds={seeds}", f"name=w{number}"], root=root)
            if (design.seeds, design.name) != (seeds, f"w{number}"):
                wrong.append(design)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    with initialize_config_dir(str(root / "experiments"), version_base="1.3"):
        for thread in threads:
            thread.start()
        for _ in range(8):
            assert compose("w").seeds == 6
        for thread in threads:
            thread.join()
    assert wrong == []
