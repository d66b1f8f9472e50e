"""openai/whisper's own code as a module, from where bpe.py finds it, and checkpoints in Hugging Face layout for it."""
import os, sys
import bpe

sys.path[:0] = [os.path.dirname(bpe.SRC), os.path.join(os.path.dirname(os.path.abspath(__file__)), "../scripts")]
import whisper  # noqa: E402
from make_golden import load  # noqa: E402
