"""Dispatch: a pure order machine, pure retry plan and pure limits, and one runner that does the asyncio."""
