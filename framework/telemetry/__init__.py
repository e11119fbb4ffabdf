"""Where a trial's reports go: its folder, TensorBoard, and trackers such as MLflow."""
