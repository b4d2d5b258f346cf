"""What Python users and the command line call: one function per command.

`import ctrbench` exports these functions. They return results, which notebooks show as tables, and
raise `CtrBenchError`s. They print only progress and notices, on stderr.
"""
