"""The tools that accounting.py compares, each called as its own documentation does."""

import contextlib
import io
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import torch
from torch import Tensor, nn

PRODUCTS = ("conv", "linear", "matmul", "mm", "addmm", "bmm", "einsum")  # fvcore's operators that multiply


@dataclass(frozen=True)
class Said:
    """What a tool says of a network and one picture; None where it has no such number."""

    parameters: int | None = None
    operations: int | None = None  # in the tool's own unit
    unit: int = 1  # its operations in one multiply-add
    outputs: int | None = None  # values made by convolutions and other products, or what comes nearest to that
    every_output: int | None = None  # those of pooling and enlarging too
    left_out: str = ""  # what it names itself as not counted

    @property
    def products(self) -> int | None:
        """Multiply-adds."""
        return None if self.operations is None else self.operations // self.unit


def torchinfo(network: nn.Module, picture: Tensor) -> Said:
    """Outputs: of layers that have parameters; the bytes are said times two, for gradients."""
    from torchinfo import summary

    found = summary(network, input_data=picture, verbose=0)
    return Said(found.total_params, found.total_mult_adds, outputs=found.total_output_bytes // 8)


def fvcore(network: nn.Module, picture: Tensor) -> Said:
    """Outputs: its activations, of products alone."""
    from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis, parameter_count

    counted, outputs = (analysis(network, picture) for analysis in (FlopCountAnalysis, ActivationCountAnalysis))
    for analysis in (counted, outputs):
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    operations, made, left_out = int(counted.total()), int(outputs.total()), ", ".join(counted.unsupported_ops())
    return Said(parameter_count(network)[""], operations, outputs=made, left_out=left_out)


def fvcore_products(network: nn.Module, picture: Tensor) -> Said:
    """Its operators that multiply; outputs, which take another tracing, are not asked for."""
    from fvcore.nn import FlopCountAnalysis, parameter_count

    counted = FlopCountAnalysis(network, picture).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    operations = sum(counted.by_operator()[name] for name in PRODUCTS)
    return Said(parameter_count(network)[""], int(operations), left_out=", ".join(counted.unsupported_ops()))


def ptflops(network: nn.Module, picture: Tensor, backend: str = "pytorch") -> Said:
    """Prints errors, and answers with None."""
    from ptflops import get_model_complexity_info

    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
        operations, parameters = get_model_complexity_info(
            network, tuple(picture.shape[1:]), print_per_layer_stat=False, as_strings=False, backend=backend
        )
    if operations is None:
        raise RuntimeError(out.getvalue().strip().splitlines()[-1])
    return Said(parameters, int(operations))


def calflops(network: nn.Module, picture: Tensor) -> Said:
    """Says operations and multiply-adds; these are taken."""
    from calflops import calculate_flops

    _, operations, parameters = calculate_flops(network, args=[picture], print_results=False, output_as_string=False)
    return Said(parameters, int(operations))


def flop_counter_mode(network: nn.Module, picture: Tensor, device: str = "cpu") -> Said:
    """The counter of torch itself watches whatever runs; two operations are one multiply-add. Moves the network."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.to(device)(picture.to(device))
    return Said(operations=counter.get_total_flops(), unit=2)


def pixelwise(network: nn.Module, picture: Tensor) -> Said:
    """Outputs: of rows that have connections; as it comes, of pooling and enlarging too."""
    from pixelwise import account

    _, channels, *size = picture.shape
    found = account(network, (size[0], size[1]), NIC=channels)
    weights, every, products = (found.totals[what].value for what in ("weights", "outputs", "connections"))
    outputs = sum(row.counts["outputs"].value for row in found.rows if row.counts["connections"].value)
    left_out = "; ".join(note for note in found.notes if note.startswith("could not be followed"))
    return Said(weights, products, outputs=outputs, every_output=every, left_out=left_out)


def own_answer(network: nn.Module, picture: Tensor) -> Said:
    """No tool: the network answers once."""
    with torch.no_grad():
        network(picture)
    return Said()


@dataclass(frozen=True)
class Way:
    """One way to ask a tool."""

    tool: str
    setting: str
    package: str  # that has to be installed
    ask: Callable[[nn.Module, Tensor], Said]
    read_in: str = ""  # version in whose source the causes were read

    @property
    def version(self) -> str | None:
        """What is installed; None if nothing is."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None


WAYS = {
    "torchinfo": Way("torchinfo", "", "torchinfo", torchinfo, "1.8.0"),
    "fvcore": Way("fvcore", "as it comes", "fvcore", fvcore, "0.1.5.post20221221"),
    "fvcore, products": Way("fvcore", "products alone", "fvcore", fvcore_products),
    "ptflops": Way("ptflops", "as it comes", "ptflops", ptflops, "0.7.5"),
    "ptflops, aten": Way("ptflops", "backend aten", "ptflops", lambda n, p: ptflops(n, p, "aten")),
    "calflops": Way("calflops", "", "calflops", calflops, "0.3.2"),
    "FlopCounterMode": Way("FlopCounterMode", "no_grad", "torch", flop_counter_mode, "2.14.1"),
    "FlopCounterMode, meta": Way(
        "FlopCounterMode", "on the meta device", "torch", lambda n, p: flop_counter_mode(n, p, "meta")
    ),
    "pixelwise": Way("pixelwise", "", "pixelwise", pixelwise),
}


def others() -> str:
    """Versions of what the tools run on."""
    found = [f"Python {platform.python_version()}"]
    for package in ("torch", "torchvision", "transformers"):
        with contextlib.suppress(PackageNotFoundError):
            found.append(f"{package} {version(package)}")
    return ", ".join(found)
