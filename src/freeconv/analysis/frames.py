"""The frames of a study, by name: what the tables and figures are made from."""

import pyarrow as pa

from freeconv.analysis.comparison import COMPARISON_SCHEMA
from freeconv.analysis.conclusions import CONCLUSIONS_SCHEMA
from freeconv.analysis.search import SEARCH_SCHEMA
from freeconv.analysis.sharing_degrees import SHARING_SCHEMA
from freeconv.analysis.summary import SUMMARY_SCHEMA
from freeconv.results.provenance import PROVENANCE_SCHEMA
from freeconv.results.schemas import (
    EVALUATION_SCHEMA,
    EXAMPLES_SCHEMA,
    HISTORY_SCHEMA,
    NETWORKS_SCHEMA,
    SETTINGS_SCHEMA,
)

# What runs recorded, joined: of each fold, of how many it is one, whether or not the others ran.
_FOLD_COUNT = pa.field("fold_count", pa.int64())

SCHEMAS = {
    "history": HISTORY_SCHEMA.append(_FOLD_COUNT),
    "evaluation": EVALUATION_SCHEMA.append(_FOLD_COUNT),
    "settings": SETTINGS_SCHEMA,
    "provenance": PROVENANCE_SCHEMA,
    "summary": SUMMARY_SCHEMA,
    "comparison": COMPARISON_SCHEMA,
    "conclusions": CONCLUSIONS_SCHEMA,
    "search": SEARCH_SCHEMA,
    "sharing": SHARING_SCHEMA,
    "networks": NETWORKS_SCHEMA,
    "examples": EXAMPLES_SCHEMA,
}
"""Name of a frame, and of its file -> its columns and their types, a `pyarrow.Schema`."""
