"""Networks that were trained on ImageNet and that Latentscape only uses, never trains."""
