from orchest import parameters
from orchest.transfer import get_inputs, output_to_disk
from sklearn.metrics import mean_absolute_error
from sklearn.neighbors import KNeighborsRegressor

step_params, pipeline_params = parameters.get_params()

X_train, y_train, X_test, y_test = get_inputs()['training_data']

model = KNeighborsRegressor(n_neighbors=step_params['n_neighbors'])
model.fit(X_train, y_train)

output_to_disk(
    (
        'K nearest neighbors',
        mean_absolute_error(y_train, model.predict(X_train)),
        mean_absolute_error(y_test, model.predict(X_test)),
    ),
    name=None,
)
