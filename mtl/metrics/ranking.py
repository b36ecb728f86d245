"""How well rows of one query are ranked: nDCG, MAP and MRR, over all queries of a split."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics.functional.retrieval import (
    retrieval_average_precision,
    retrieval_normalized_dcg,
    retrieval_reciprocal_rank,
)

from mtl.metrics.base import TableMetric
from mtl.metrics.tables import ValueRow

NAMES = ("ndcg_10", "map", "mrr")
TOP = 10
"""Rows of a query that nDCG looks at."""
Ranked = tuple[Tensor, Tensor]
"""Scores and grades of one query's rows, the best score first; both (n,)."""


class RankingScores(TableMetric[ValueRow]):
    """nDCG of the first ten, mean average precision and mean reciprocal rank.

    Rows of a query may come in any order, in several batches and on several ranks: the state has
    four numbers for each row. Queries of which no row is relevant have no score, and are left out,
    as in trec_eval. Rows with equal scores count in nDCG with their mean gain, as in scikit-learn,
    else in an order that was drawn, so that none is preferred for its place in the file.

    Args:
        relevant: The grade from which on a row is relevant; above 0 when None.
    """

    keys: list[Tensor]
    values: list[Tensor]

    def __init__(self, relevant: float | None = None) -> None:
        super().__init__()
        self.relevant = relevant
        self.add_state("keys", [], dist_reduce_fx="cat")
        self.add_state("values", [], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        """Forget all rows; what is left has the types and widths that other ranks expect."""
        super().reset()
        self.keys = [torch.empty(0, 2, dtype=torch.int64, device=self.device)]
        self.values = [torch.empty(0, 2, dtype=torch.float64, device=self.device)]

    def update(self, relevance: Tensor, grades: Tensor, queries: Tensor, draws: Tensor) -> None:
        """Take rows.

        Args:
            relevance: (n,) predicted, higher is better.
            grades: (n,) how relevant the rows are, 0 or more.
            queries: (n,) a number for each query.
            draws: (n,) a number for each row, which decides between equal scores.
        """
        self.keys.append(torch.stack([queries, draws], dim=1))
        self.values.append(torch.stack([relevance.double(), grades.double()], dim=1))

    def compute(self) -> dict[str, float]:
        """Return the means of :data:`NAMES` over all queries with a relevant row; 0 if none has."""
        found = [self._scores(*one) for one in self._queries() if bool(self._hits(one[1]).any())]
        columns = zip(*found, strict=True) if found else [(0.0,)] * len(NAMES)
        return {name: float(np.mean(one)) for name, one in zip(NAMES, columns, strict=True)}

    def rows(self) -> list[ValueRow]:
        """Return the scores, and how many queries there are and have no relevant row."""
        queries = list(self._queries())
        if not queries:
            return []
        without = sum(not bool(self._hits(grades).any()) for _, grades in queries)
        scores = type(self).compute(self)  # As written: the instance's asks all ranks.
        counts = {"queries": len(queries), "queries without relevant rows": without}
        return [ValueRow(*item) for item in {**scores, **counts}.items()]

    def _hits(self, grades: Tensor) -> Tensor:
        return grades > 0 if self.relevant is None else grades >= self.relevant

    def _scores(self, scores: Tensor, grades: Tensor) -> list[float]:
        # Of equal scores the first is better; torchmetrics takes scores above 0 alone.
        place = torch.arange(len(scores), 0, -1, dtype=torch.float32)
        hits = self._hits(grades)
        return [
            float(retrieval_normalized_dcg(scores, grades, top_k=TOP)),
            float(retrieval_average_precision(place, hits)),
            float(retrieval_reciprocal_rank(place, hits)),
        ]

    def _queries(self) -> Iterator[Ranked]:
        keys, values = self._array(self.keys), self._array(self.values)
        order = np.lexsort((keys[:, 1], -values[:, 0], keys[:, 0]))
        values = values[order]
        cuts = np.flatnonzero(np.diff(keys[order, 0])) + 1
        for part in np.split(values, cuts):
            if len(part):
                yield torch.from_numpy(part[:, 0].copy()), torch.from_numpy(part[:, 1].copy())

    @staticmethod
    def _array(state: list[Tensor] | Tensor) -> npt.NDArray[np.float64]:
        parts = state if isinstance(state, list) else [state]
        return torch.cat(parts).cpu().numpy()
