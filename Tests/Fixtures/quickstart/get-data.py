import os

import orchest
import pandas as pd
from sklearn import datasets

CACHE = '/data/quickstart/diabetes.csv'

if not os.path.exists(CACHE):
    print('No cached data, creating it...')
    os.makedirs(os.path.dirname(CACHE), exist_ok=True)
    datasets.load_diabetes(as_frame=True).frame.to_csv(CACHE, index=False)
else:
    print('Using cached data')

df = pd.read_csv(CACHE)
print(df.shape)

orchest.output(df, name='diabetes_data')
