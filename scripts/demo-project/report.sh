#!/bin/bash
# Lists the models that the runs of this pipeline have kept so far.
set -eu
echo "models in /data/digits-models:"
cd /data/digits-models
du -b -- *.joblib | sort -k2
