"""What keeps a node alive: callbacks that raise, and requests for transitions that its state does not allow."""
