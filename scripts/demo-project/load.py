"""Loads handwritten digits and splits them, always in the same way for the same parameters."""
import orchest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

seed = orchest.get_pipeline_param("seed", 0)
test_share = orchest.get_step_param("test_share", 0.3)

images, labels = load_digits(return_X_y=True)
train, test, train_labels, test_labels = train_test_split(
    images, labels, test_size=test_share, random_state=seed, stratify=labels
)
print(f"{len(images)} images of 8 x 8: {len(train)} to train, {len(test)} to test")
orchest.output(
    {"train": train, "test": test, "train_labels": train_labels, "test_labels": test_labels}, name="digits"
)
