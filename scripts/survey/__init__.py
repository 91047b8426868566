"""The survey asks of every public function of JAX whether the exact layer judges its derivative."""
