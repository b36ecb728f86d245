"""A search: settings that Optuna proposes, tried as the jobs of a sweep."""
