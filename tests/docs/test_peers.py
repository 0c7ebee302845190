"""What docs/peers.md says of ours is counted here; what it says of others was measured beside them."""

import re

import pytest
import torch

from lab.plugin.experiment import experiment_of
from lab.subjects import StructureError, wrap
from tests.docs.pages import ROOT
from tests.subjects.families import TOKENS, make

PAGE = (ROOT / "docs" / "peers.md").read_text()
TRIED = "gpt2 gpt_neox opt llama gemma2 gemma3 qwen2 qwen3 mistral phi bloom gptj falcon mpt mamba".split()


@pytest.mark.parametrize("family", TRIED)
def test_the_blocks_of_all_fifteen_are_found_and_no_bit_of_the_logits_changes(family):
    import transformers as t
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(ROOT / "fixtures" / "organisms" / "clinic-gpt2")
    if family == "mamba":
        sizes = {"hidden_size": 32, "num_hidden_layers": 3, "state_size": 4}
        model = t.AutoModelForCausalLM.from_config(t.MambaConfig(vocab_size=len(tokenizer), **sizes, **TOKENS)).eval()
    else:
        model = make(family, len(tokenizer))
    ids = torch.arange(6, 15)[None]
    with torch.no_grad():
        before = model(input_ids=ids).logits
        subject = wrap(model, tokenizer)
        array = subject.capture([ids[0].tolist()], at=subject.resid_post()).array
        assert torch.equal(model(input_ids=ids).logits, before)
    assert array.shape == (1, model.config.num_hidden_layers, 32)
    if family == "mamba":
        with pytest.raises(StructureError):
            subject.mlp_out()
    else:
        subject.attn_out()
        subject.mlp_out()
    assert f"of {len(TRIED)} architectures tried | {len(TRIED)}; of Mamba the stream alone |" in PAGE


def test_as_many_hypotheses_come_with_it_as_it_says():
    from importlib.util import module_from_spec, spec_from_file_location

    found = set()
    for path in sorted((ROOT / "hypotheses").rglob("test_*.py")):
        spec = spec_from_file_location(f"counted_{path.stem}", path)
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        found |= {declared.id for one in vars(module).values() if (declared := experiment_of(one)) is not None}
    (told,) = re.findall(r"\| (\d+) hypotheses on invented data \|", PAGE)
    assert int(told) == len(found)
