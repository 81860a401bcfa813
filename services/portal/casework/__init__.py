"""What pages of a case need besides their handlers: words, stages, the next step, tasks and a timeline."""
