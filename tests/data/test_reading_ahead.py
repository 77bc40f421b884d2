import threading
from concurrent.futures import ThreadPoolExecutor

from inatdet.data.reading_ahead import map_ahead


def test_map_ahead_is_in_order_and_bounded():
    lock, state = threading.Lock(), {"started": 0, "taken": 0, "most": 0}

    def work(item):
        with lock:
            state["started"] += 1
            state["most"] = max(state["most"], state["started"] - state["taken"])
        return item * item

    results = []
    with ThreadPoolExecutor(4) as readers:
        for result in map_ahead(readers, work, range(100), 7):
            results.append(result)
            with lock:
                state["taken"] += 1
    assert results == [i * i for i in range(100)]
    assert state["most"] <= 8
