"""Joins both kinds of features, trains the chosen model, and keeps it in /data."""
import os
from pathlib import Path

import joblib
import numpy as np
import orchest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

seed = orchest.get_pipeline_param("seed", 0)
name = orchest.get_pipeline_param("model", "logistic")
models = {
    "bayes": lambda: GaussianNB(),
    "forest": lambda: RandomForestClassifier(n_estimators=orchest.get_step_param("trees", 150), random_state=seed),
    "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
}
if name not in models:
    raise SystemExit(f"model is {name!r}; known are {', '.join(sorted(models))}")

inputs = orchest.get_inputs()
components, zones = inputs["components"], inputs["zones"]
train = np.hstack([components["train"], zones["train"]])
test = np.hstack([components["test"], zones["test"]])

model = models[name]().fit(train, zones["train_labels"])

# Large results belong into /data, which all runs share; the name tells the parameters. A run that does the same at the
# same time writes the same file, so it is moved into its place when it is complete.
directory = Path("/data/digits-models")
directory.mkdir(parents=True, exist_ok=True)
path = directory / f"{name}-{components['train'].shape[1]}-components-seed-{seed}.joblib"
part = path.with_suffix(f".{os.environ.get('ORCHEST_SESSION_UUID', os.getpid())}.part")
joblib.dump(model, part)
part.replace(path)
print(f"trained {name} on {train.shape[1]} features; saved {path} ({path.stat().st_size} bytes)")

orchest.log_metric("model_bytes", path.stat().st_size)
orchest.output({"path": str(path), "test": test, "test_labels": zones["test_labels"]}, name="model")
