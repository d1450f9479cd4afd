import orchest

data = orchest.get_inputs()

print('Mean absolute error of each model (train, test):')
for name, train, test in data['unnamed']:
    print(f'  {name}: {train:.2f}, {test:.2f}')

with open('results.txt', 'w') as f:
    for name, train, test in data['unnamed']:
        f.write(f'{name},{train},{test}\n')
